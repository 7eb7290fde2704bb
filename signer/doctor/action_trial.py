"""Tries RAM actions of a role on what does not exist: OSS checks permissions first."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_oss_v2.aio import AsyncClient

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import NoResponse
from signer.doctor.oss_probe import OssProbe, OssRefusal
from signer.doctor.plan import BucketUse
from signer.doctor.public_address import address_failure
from signer.doctor.remedies import grant
from signer.signing.v4 import Credential

Calls = Mapping[str, Callable[[AsyncClient], Awaitable[Any]]]
"""A call for each RAM action."""

_EXPECTED = ("NoSuchUpload", "NoSuchKey")


async def try_actions(
    client: OssProbe,
    subject: Subject,
    use: BucketUse,
    url: str,
    calls: Calls,
    credential: Credential,
    *,
    prefix: str,
    purpose: str,
) -> Finding | None:
    """Try each action at the bucket's URL; return what is wrong, or None if the role may do all of them."""
    missing = []
    for action, call in calls.items():
        try:
            await client.call(use, credential, call, url=None if url == use.default_url else url)
        except NoResponse as error:
            fix = "write an oss_endpoint that this machine can reach, such as internal on ECS in the bucket's region"
            return subject.failed(f"{urlsplit(url).netloc} {error}", fix)
        except OssRefusal as refusal:
            if refusal.is_denied:
                missing.append(action)
            elif refusal.code not in _EXPECTED:
                failure = address_failure(use, url, refusal)
                return subject.failed(*(failure or (str(refusal), refusal.help_url)))
    if not missing:
        return None
    what = f"the role lacks {' and '.join(missing)} for {purpose}"
    return subject.failed(what, grant(f"credentials.{use.role}", missing, f"acs:oss:*:*:{use.bucket}/{prefix}*"))
