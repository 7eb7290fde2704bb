"""Describes why a service that issues credentials did not respond.

The SDKs replace the errors of connections by their own `RetryError`, which has the original one only as its context.
The texts are ours: those of the SDKs can quote requests and their tokens.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Iterator

import aiohttp
from cryptography import x509

from signer.credentials.sdk_patches import renew_tls_context
from signer.credentials.sources.credential_source import FetchFailed

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_NO_ANSWER_OF_DNS = (socket.EAI_AGAIN,)
_ISSUER_SECONDS = 2.0
"""How long reading the issuer of an untrusted certificate may take."""
_MAX_NAME_CHARACTERS = 200


async def connection_failed(error: BaseException, service: str) -> FetchFailed | None:
    """Return what went wrong between us and a service; None if the error is of another kind.

    Args:
        error: what the SDK raised.
        service: its name and address, such as `STS at sts.aliyuncs.com`.
    """
    for cause in _causes(error):
        reason = await _reason(cause, service)
        if reason is not None:
            return FetchFailed(reason, concerns_issuer=True)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = getattr(error, "inner_exception", None) or error.__cause__ or error.__context__


async def _reason(cause: BaseException, service: str) -> str | None:
    if isinstance(cause, OSError) and (cause.errno in _NO_DESCRIPTOR or not _has_free_descriptor()):
        return f"no file descriptor is free for a connection to {service}; raise LimitNOFILE (ulimit -n)"
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        return await _untrusted(cause, service)
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return _unresolved(cause, service)
    if isinstance(cause, aiohttp.ClientProxyConnectionError):
        return f"the proxy {cause.host}:{cause.port} cannot be reached ({_words(cause)}); check HTTPS_PROXY"
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return f"the proxy refused the connection to {service} with status {cause.status}; check HTTPS_PROXY"
    if isinstance(cause, aiohttp.ClientSSLError):
        words = str(getattr(cause.os_error, "reason", "no reason")).replace("_", " ").lower()
        return f"the TLS handshake with {service} failed ({_printable(words)}); check its port"
    if isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionResetError | BrokenPipeError):
        return f"{service} closed the connection without a response"
    if isinstance(cause, aiohttp.ClientPayloadError):
        return f"{service} closed the connection before the end of its response"
    if isinstance(cause, ConnectionRefusedError) or (isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED):
        return f"{service} refused the connection; check the endpoint and its port"
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return f"{service} timed out: no connection; check the route and the firewall"
    if isinstance(cause, TimeoutError):
        return f"{service} timed out: no response"
    if isinstance(cause, OSError) and cause.errno:
        return f"{service} cannot be reached ({_words(cause)}); check the route and the firewall"
    return None


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def _has_free_descriptor() -> bool:
    """Return whether a file can be opened: without one, names are not resolved and certificates not loaded either."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in _NO_DESCRIPTOR
    return True


def _unresolved(error: aiohttp.ClientConnectorDNSError, service: str) -> str:
    text = str(error.os_error.strerror or error.os_error).lower()
    if error.os_error.errno in _NO_ANSWER_OF_DNS or "timeout" in text or "contact" in text or "refused" in text:
        return f"no DNS server responds for {error.host}, the host of {service}; check /etc/resolv.conf"
    return f"no such host: {error.host}; check the name in the endpoint of {service}, and DNS"


async def _untrusted(error: aiohttp.ClientConnectorCertificateError, service: str) -> str:
    # An operator may add the authority now.
    renew_tls_context()
    reason = getattr(error.certificate_error, "verify_message", "") or "it is not valid"
    # The issuer behind a proxy is that of a connection through the proxy, which is not ours to open.
    has_proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    issuer = None if has_proxy else await _issuer_of(error.host, error.port or 443)
    issued_by = "" if issuer is None else f", issued by {issuer}"
    return (
        f"the certificate of {service} is not trusted{issued_by}: {_printable(reason)}; check the endpoint, or add the "
        "certificate authority to those of this machine"
    )


async def _issuer_of(host: str, port: int) -> str | None:
    """Return the issuer of the certificate that a server shows, without trusting it; None if it cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_ISSUER_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return _printable(x509.load_der_x509_certificate(der).issuer.rfc4514_string())
    except (OSError, ValueError, TypeError):
        return None


def _printable(text: str) -> str:
    """Return a text that a server chose, for a log line."""
    return "".join(character if character.isprintable() else "?" for character in text)[:_MAX_NAME_CHARACTERS]
