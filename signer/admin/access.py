"""Who may use the admin listener: holders of the token or, without one, programs on this machine but no web pages."""

import hmac
import re
from ipaddress import ip_address

from pydantic import SecretStr

from signer.admin.readiness import ready_only
from signer.errors import Forbidden, Unauthenticated
from signer.http.reply import Reply
from signer.http.router import Handler
from signer.revision import Context

_PATHS_WITHOUT_TOKEN = ("/healthz", "/readyz")
"""Probes and load balancers have no token."""
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::[0-9]*)?")
_FIX = "use the loopback address, as in http://127.0.0.1:9180, or set server.admin_token"


class TokenGuard:
    """Requires `Authorization: Bearer` with the token. Without it, /healthz responds, and /readyz without details."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token.get_secret_value().encode()

    def __call__(self, context: Context) -> None:
        """Raise Unauthenticated for a request without the token."""
        if context.path not in _PATHS_WITHOUT_TOKEN and not self._has_token(context):
            headers = {"WWW-Authenticate": 'Bearer realm="oss-signer admin"'}
            raise Unauthenticated(
                "the admin routes require Authorization: Bearer with server.admin_token", headers=headers
            )

    def without_details(self, readyz: Handler) -> Handler:
        """Return a handler of /readyz that shows its details only to requests with the token."""
        brief = ready_only(readyz)

        async def handler(context: Context) -> Reply:
            return await (readyz if self._has_token(context) else brief)(context)

        return handler

    def _has_token(self, context: Context) -> bool:
        scheme, _, given = context.headers.get("Authorization", "").partition(" ")
        is_equal = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        return is_equal and scheme.lower() == "bearer"


def refuse_web_pages(context: Context) -> None:
    """Raise Forbidden for requests of web pages of other origins, on a TCP listener without a token.

    A browser on this machine runs pages of anyone. Their requests name a foreign Origin or site, or, after the page's
    own domain was rebound to 127.0.0.1, that domain as Host. An address literal cannot be rebound.

    See: https://fetch.spec.whatwg.org/#origin-header, https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
    """
    hosts = context.headers.getall("Host", ())
    if not all(_is_loopback(host) for host in hosts):
        raise Forbidden(f"the Host of the request is not a loopback address; {_FIX}")
    origins = context.headers.getall("Origin", ())
    if any(origin.partition("://")[2] not in hosts for origin in origins):
        raise Forbidden(f"a web page of another origin sent the request; {_FIX}")
    if "cross-site" in context.headers.getall("Sec-Fetch-Site", ()):
        raise Forbidden(f"a web page of another site sent the request; {_FIX}, or enter the address in the browser")


def _is_loopback(host: str) -> bool:
    match = _HOST.fullmatch(host)
    name = "" if match is None else match[1].strip("[]").lower()
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
