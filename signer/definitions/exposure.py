"""Warns of what lets others read or forge something: plain HTTP, proxies that anyone can be, foreign keys."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from signer.definitions.caller_model import AlipayCallers, CodeLoginCallers, JwtCallers
from signer.definitions.credential_model import StsRole
from signer.definitions.mistakes import KeyPath, Mistake, Place, Violation
from signer.definitions.model import Server
from signer.definitions.redaction import quote
from signer.definitions.registry import App, Role

_KEY_HOST = "gosspublic.alicdn.com"
"""The host of OSS's public keys.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

_MIN_PROXY_PREFIX_BITS = 8
"""A private network has at most 2^24 addresses; a larger one contains clients."""


def server_exposures(server: Server) -> Iterator[Violation]:
    """Yield what is dangerous in the `server` section, by paths below it."""
    for index, network in enumerate(server.trusted_proxies):
        if ip_network(network).prefixlen < _MIN_PROXY_PREFIX_BITS:
            yield Violation(
                ("trusted_proxies", index),
                f"{network} contains clients too, and each can then choose its address with X-Forwarded-For; write the "
                "addresses of the proxies only",
            )
    if (keys := server.callback_keys) is not None and not is_loopback(keys) and urlsplit(keys).hostname != _KEY_HOST:
        message = f"{quote(keys)} is not Alibaba's host {_KEY_HOST}, so its owner can forge callbacks; remove the key"
        yield Violation(("callback_keys",), message)


def store_exposures(location: str) -> list[Mistake]:
    """Return what is dangerous in reading definitions from a store."""
    message = "this store is read over plain HTTP, so others in the network can change the definitions; write https://"
    return [Mistake(Place(location, 1, 1), message)] if is_plain_http(location) else []


def app_exposures(app: App) -> Iterator[Violation]:
    """Yield what is dangerous in the callers of an app, by paths below the app."""
    for index, entry in enumerate(app.callers):
        path: KeyPath = ("callers", index) if len(app.callers) > 1 else ("callers",)
        if isinstance(entry, JwtCallers) and entry.jwks_url is not None:
            yield from _plain_http((*path, "jwks_url"), entry.jwks_url, "forge the login of any user")
        if isinstance(entry, CodeLoginCallers):
            # Requests to Alipay are signed, so they contain no secret.
            danger = "forge the login of any user" if isinstance(entry, AlipayCallers) else "read the AppSecret"
            yield from _plain_http((*path, "endpoint"), entry.endpoint, danger)


def role_exposures(role: Role) -> Iterator[Violation]:
    """Yield what is dangerous in the credentials of a role."""
    if isinstance(role.entry, StsRole):
        yield from _plain_http(("credentials", role.name, "endpoint"), role.entry.endpoint, "read the tokens")


def _plain_http(path: KeyPath, url: str, danger: str) -> Iterator[Violation]:
    if is_plain_http(url):
        yield Violation(path, f"{quote(url)} is not HTTPS, so others in the network can {danger}; write https://")


def is_plain_http(url: str) -> bool:
    """Return whether a URL is fetched without TLS from another machine."""
    return url.startswith("http://") and not is_loopback(url)


def is_loopback(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
