"""Step `callback keys`: can OSS's public key be fetched. Without it, no callback can be verified.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe, NoResponse
from signer.doctor.plan import AppIds

_KEY_HOST = "https://gosspublic.alicdn.com"
_KEY_NAME = "callback_pub_key_v1.pem"


async def check_callback_keys(http: HttpProbe, base_url: str | None, apps: AppIds) -> Finding:
    """Fetch the key. `base_url` is `server.callback_keys`; None means OSS's own host."""
    url = f"{base_url or _KEY_HOST}/{_KEY_NAME}"
    subject = Subject("callback keys", urlsplit(url).netloc, apps)
    fix = f"check the connection from this machine: curl -s {url}"
    try:
        response = await http.request(url)
        load_pem_public_key(response.text.encode())
    except NoResponse as error:
        return subject.failed(f"OSS's public key: {error}", fix)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return subject.failed(f"the response is not a public key ({response.status})", fix)
    return subject.ok("OSS's public key can be fetched")
