"""Steps `domain` and `certificate`: does a domain of one's own lead to its bucket, with a certificate that holds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking, NoAnswer
from signer.doctor.oss_probe import Oss, Refused, made_up_name, refusal
from signer.doctor.plan import DomainUse, Ids
from signer.doctor.remedies import bucket_page
from signer.signing.v4 import Credential

_SOON_DAYS = 21
_FOREIGN = ("SignatureDoesNotMatch", "NoSuchBucket")


async def domain(asking: Asking, client: Oss, each: DomainUse, apps: Ids, credential: Credential | None) -> Finding:
    """`credential` None: only whether OSS answers there. A signature is of one bucket, so it tells which one it is."""
    about, use = About("domain", str(each), apps), each.use
    host = urlsplit(each.url).hostname or ""
    page = bucket_page(use.bucket, use.region, "Bucket Settings > Domain Names > Map Custom Domain Name")
    bind = f"{page}, and at your DNS: CNAME {host} -> {use.bucket}.oss-{use.region}.aliyuncs.com"
    canonical = await _canonical_name(host)
    if canonical is None:
        return about.failed("its name cannot be resolved", bind)
    alias = f", a CNAME of {canonical}" if canonical != host else ""
    try:
        if credential is None:
            answer = await asking.get(f"{each.url}/{made_up_name()}")
            if "x-oss-request-id" not in answer.headers:
                return about.failed(f"what answers there is not OSS{alias}", bind)
            refused = refusal(answer.status, answer.text)
        else:
            refused = await _refusal(client, each, credential)
    except NoAnswer as error:
        return about.failed(str(error), bind)
    if refused.code in _FOREIGN:
        return about.failed(f"it does not lead to the bucket {use.bucket} ({refused.code}){alias}", bind)
    if not refused.code:
        return about.failed(f"what answers there is not OSS ({refused.status}){alias}", bind)
    if refused.elsewhere:
        return about.failed(f"its bucket is not in {use.region}", "see what the step bucket says")
    if not (refused.denied or refused.code == "NoSuchKey"):
        return about.failed(str(refused), f"https://api.aliyun.com/troubleshoot?q={refused.ec or refused.code}")
    known = "OSS answers there" if credential is None else f"leads to {use.bucket}"
    return about.ok(f"{known}{alias}")


async def _refusal(client: Oss, each: DomainUse, credential: Credential) -> Refused:
    try:
        await client.read_nothing(each.use, credential, each.url)
    except Refused as refused:
        return refused
    # There cannot be such an object: somebody answers in OSS's place.
    return Refused(200, "", "", "", "")


async def _canonical_name(host: str) -> str | None:
    """The name behind the last CNAME, or the host itself; None where it does not resolve."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError:
        return None
    return next((each[3] for each in found if each[3]), host)


async def certificate(asking: Asking, url: str, region: str, bucket: str, apps: Ids) -> Finding:
    split = urlsplit(url)
    about = About("certificate", f"{split.hostname}", apps)
    if split.scheme != "https":
        return about.not_checked("because the domain is http; mini-programs upload only to https")
    mend = (
        f"{bucket_page(bucket, region, 'Bucket Settings > Domain Names > Certificate Hosting')}: upload the new one, "
        "from https://yundun.console.aliyun.com/?p=cas"
    )
    try:
        async with asyncio.timeout(asking.timeout_seconds):
            ends = await _end(split.hostname or "", split.port or 443)
    except ssl.SSLCertVerificationError as error:
        return about.failed(f"is not valid: {error.verify_message}", mend)
    except TimeoutError:
        return about.failed(f"no answer within {asking.timeout_seconds:g} s", mend)
    except OSError as error:
        what = f"no TLS there ({type(error).__name__})" if isinstance(error, ssl.SSLError) else "cannot be reached"
        return about.failed(what, mend)
    days = (ends - datetime.now(UTC)).days
    if days < _SOON_DAYS:
        return about.warning(f"ends in {days} days, on {ends:%Y-%m-%d}", mend)
    return about.ok(f"is valid for {days} days, until {ends:%Y-%m-%d}")


async def _end(host: str, port: int) -> datetime:
    _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context(), server_hostname=host)
    try:
        held: Any = writer.get_extra_info("peercert")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(held["notAfter"]), UTC)
