"""Steps `domain` and `certificate`: does the address that phones use lead to the bucket, with a valid certificate.

See: https://help.aliyun.com/zh/oss/user-guide/access-buckets-via-custom-domain-names
"""

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HOSTNAME_MISMATCH, HttpProbe, NoResponse, connection_error
from signer.doctor.oss_probe import OssProbe, OssRefusal, parse_refusal, unique_name
from signer.doctor.plan import AppIds, BucketUse, DomainUse
from signer.doctor.public_address import address_failure, bind_domain
from signer.doctor.remedies import bucket_page
from signer.signing.v4 import Credential

_WARN_DAYS = 21


async def check_domain(client: OssProbe, subject: Subject, domain: DomainUse, credential: Credential | None) -> Finding:
    """Check that the address leads to its bucket, and that OSS serves the account there.

    A signature is valid for one bucket only. Without a credential, the step checks only that OSS responds there.
    """
    use, url = domain.use, client.endpoint.public_url(domain.use, domain.url)
    host = urlsplit(url).hostname or ""
    canonical = await _canonical_name(host)
    if canonical is None:
        return subject.failed("its name cannot be resolved", bind_domain(use, host))
    alias = f", a CNAME of {canonical}" if canonical != host else ""
    try:
        if credential is None:
            response = await client.http.request(f"{url}/{unique_name()}")
            if "x-oss-request-id" not in response.headers:
                return subject.failed(f"the server there is not OSS{alias}", bind_domain(use, host))
            refusal = parse_refusal(response.status, response.text)
        else:
            refusal = await _signed_refusal(client, use, url, credential)
    except NoResponse as error:
        return subject.failed(str(error), bind_domain(use, host))
    if (failure := address_failure(use, domain.url, refusal)) is not None:
        what, fix = failure
        return subject.failed(f"{what}{alias}", fix)
    if not (refusal.is_denied or refusal.code == "NoSuchKey"):
        return subject.failed(str(refusal), refusal.help_url)
    return subject.ok(f"{'OSS responds there' if credential is None else f'leads to {use.bucket}'}{alias}")


async def _signed_refusal(client: OssProbe, use: BucketUse, url: str, credential: Credential) -> OssRefusal:
    try:
        await client.get_absent_object(use, credential, url)
    except OssRefusal as refusal:
        return refusal
    # The object cannot exist, so this server is not OSS.
    return OssRefusal(200, "", "", "", "")


async def _canonical_name(host: str) -> str | None:
    """Return the target of the last CNAME, or the host itself; None if it cannot be resolved."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except OSError:
        return None
    return next((address[3] for address in found if address[3]), host)


async def check_certificate(http: HttpProbe, url: str, use: BucketUse, apps: AppIds) -> Finding:
    """Check that the certificate of the domain is valid, and for how long."""
    split = urlsplit(url)
    subject = Subject("certificate", f"{split.hostname}", apps)
    if split.scheme != "https":
        return subject.not_checked("because the domain is http; mini-programs upload only to https")
    page = bucket_page(use.bucket, use.region, "Bucket Settings > Domain Names > Certificate Hosting")
    fix = f"{page}: upload a new certificate, from https://yundun.console.aliyun.com/?p=cas"
    try:
        async with asyncio.timeout(http.timeout_seconds):
            expiration = await _expiration(split.hostname or "", split.port or 443)
    except ssl.SSLCertVerificationError as error:
        what = "is for another name" if error.verify_code == HOSTNAME_MISMATCH else "is not valid"
        return subject.failed(f"{what}: {error.verify_message}", fix)
    except ssl.SSLError as error:
        return subject.failed(f"no TLS there ({type(error).__name__})", fix)
    # Without a connection, a certificate would not help: the DNS record is missing or leads elsewhere.
    except TimeoutError:
        return subject.failed(f"no response within {http.timeout_seconds:g} s", bind_domain(use, split.hostname))
    except socket.gaierror:
        return subject.failed("its name cannot be resolved", bind_domain(use, split.hostname))
    except OSError as error:
        return subject.failed(connection_error(error), bind_domain(use, split.hostname))
    days = (expiration - datetime.now(UTC)).days
    if days < _WARN_DAYS:
        return subject.warning(f"expires in {days} days, on {expiration:%Y-%m-%d}", fix)
    return subject.ok(f"is valid for {days} days, until {expiration:%Y-%m-%d}")


async def _expiration(host: str, port: int) -> datetime:
    _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context(), server_hostname=host)
    try:
        certificate: Any = writer.get_extra_info("peercert")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
