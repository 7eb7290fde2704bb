"""Step `callback keys`: can OSS's public key be had, without which no callback is believed (help page `callback`)."""

from __future__ import annotations

from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking, NoAnswer
from signer.doctor.plan import Ids

_PLACE = "https://gosspublic.alicdn.com"
_NAME = "callback_pub_key_v1.pem"


async def callback_keys(asking: Asking, also_below: str | None, apps: Ids) -> Finding:
    url = f"{also_below or _PLACE}/{_NAME}"
    about = About("callback keys", urlsplit(url).netloc, apps)
    mend = f"see that this machine may reach it: curl -s {url}"
    try:
        answer = await asking.get(url)
        load_pem_public_key(answer.text.encode())
    except NoAnswer as error:
        return about.failed(f"OSS's public key: {error}", mend)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return about.failed(f"what answers there is no public key ({answer.status})", mend)
    return about.ok("OSS's public key can be had")
