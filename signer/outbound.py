"""HTTP requests to other services: a connection pool for each kind, and response bodies of limited size."""

from collections.abc import Mapping
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver

from signer.dns_resolver import DnsResolver

_MAX_CONNECTIONS_PER_HOST = 64
_CHUNK_BYTES = 64 * 1024


class UnusableResponse(ValueError):
    """A response is not the document that was requested; the text contains nothing of it."""


class ResponseTooLarge(UnusableResponse):
    """A response body is larger than allowed."""


class OutboundSessions:
    """A session for each kind of service, so that none waits for the connections of another; close it after use."""

    def __init__(self) -> None:
        self._resolver = DnsResolver()
        self.logins = new_session(self._resolver)
        self.jwks = new_session(self._resolver)
        self.oss_keys = new_session(self._resolver)
        self.notify = new_session(self._resolver)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all sessions, in the event loop that created them."""
        for session in (self.logins, self.jwks, self.oss_keys, self.notify):
            await session.close()
        await self._resolver.close()


def new_session(resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """Return a session without cookies and proxies; close it in the event loop that created it.

    Only the connections per host are limited, so that a host that hangs does not delay requests to others. Compressed
    responses are not requested and not decompressed: a small one could have a huge content.
    """
    return aiohttp.ClientSession(
        connector=new_connector(resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "oss-signer"},
    )


def new_connector(resolver: AbstractResolver | None = None) -> aiohttp.TCPConnector:
    """Return a connection pool that limits only the connections to one host."""
    return aiohttp.TCPConnector(limit=0, limit_per_host=_MAX_CONNECTIONS_PER_HOST, resolver=resolver)


async def fetch_document(
    session: aiohttp.ClientSession,
    url: str,
    *,
    max_bytes: int,
    query: Mapping[str, str] | None = None,
    json_body: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> bytes:
    """Return the body of a response, or raise `UnusableResponse` unless its status is 200 and its size allowed.

    Sends GET, or POST with a body. Follows no redirects; the caller sets a timeout.
    """
    method = "GET" if json_body is None and form is None else "POST"
    async with session.request(method, url, params=query, json=json_body, data=form, allow_redirects=False) as response:
        if response.status != 200:
            raise UnusableResponse(f"the status is {response.status}")
        return await read_response(response, max_bytes)


async def read_response(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body of a response, or raise `ResponseTooLarge` without reading the rest of it."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise ResponseTooLarge(f"the response is larger than {max_bytes} bytes")
    return bytes(body)
