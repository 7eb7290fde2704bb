"""`--config https://host/path`: any HTTP server; Nacos' config endpoint and Consul's `?raw` KV among them.

Looks every 10 s, with If-None-Match where the server gives an ETag; what the body says counts in any case. Options
stand behind `#`, which is never sent: `https://host/path#poll=5s`. Headers come from the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from signer.stores import address, bundle
from signer.stores.polling import Polling
from signer.stores.protocol import NOTHING, CannotRead, CannotWrite, ChangedMeanwhile, NothingThere, Snapshot

HEADERS_VARIABLE = "OSS_SIGNER_STORE_HEADERS"

_POLL_SECONDS = 10.0
_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK_BYTES = 64 * 1024
_SHOWN = ("dataId", "group", "tenant", "namespaceId", "raw", "dc", "ns", "ref")
"""The parameters of Nacos, Consul and Git servers that are no secrets; any other may be one."""
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")


@dataclass(frozen=True, slots=True)
class _Held:
    etag: str | None
    snapshot: Snapshot


class HttpStore:
    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        """Raises `CannotRead`."""
        parts = address.parts(url)
        self.location = address.location(parts, _SHOWN)
        options = address.options(parts.fragment, ("poll",), self.location)
        try:
            self._url = URL(parts._replace(fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl())
            self._url.origin()
        except ValueError:
            raise CannotRead(f"--config {self.location}: names no host that can be asked") from None
        self._headers = _headers(environ.get(HEADERS_VARIABLE, ""))
        if parts.username is not None:
            auth = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
            self._headers.setdefault("Authorization", auth)
        self._polling = Polling(self._look, address.poll_seconds(options, _POLL_SECONDS, self.location))
        self._session: aiohttp.ClientSession | None = None
        self._held: _Held | None = None

    async def load(self) -> Snapshot:
        self._polling.loaded = None
        held = await self._get(self._held)
        self._polling.loaded = held.snapshot.revision
        return held.snapshot

    def watch(self) -> AsyncIterator[None]:
        return self._polling.changes()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def save(self, text: str, expected_revision: str | None) -> str:
        """By PUT with If-Match; a server that does not heed that would overwrite what came in between unseen."""
        data = text.encode()
        headers = {"Content-Type": "application/yaml", **await self._condition(expected_revision)}
        try:
            async with self._request("PUT", self._url, headers, data) as answer:
                status = answer.status
        except CannotRead as error:
            raise CannotWrite(str(error)) from None
        if status == 412:
            raise ChangedMeanwhile(self.location)
        if not 200 <= status < 300:
            raise CannotWrite(f"{self.location}: takes no PUT, it answers {status}; change it in its own way")
        try:
            held = await self._get(None)
        except CannotRead as error:
            raise CannotWrite(f"the PUT was answered with {status}, but then: {error}") from None
        if held.snapshot.revision != bundle.revision(data):
            raise CannotWrite(f"{self.location}: answered the PUT with {status}, but holds something else now")
        return held.snapshot.revision

    async def _condition(self, expected_revision: str | None) -> dict[str, str]:
        if expected_revision is None:
            return {}
        if expected_revision == NOTHING:
            return {"If-None-Match": "*"}
        try:
            held = await self._get(None)
        except NothingThere:
            raise ChangedMeanwhile(self.location) from None
        except CannotRead as error:
            raise CannotWrite(str(error)) from None
        if held.snapshot.revision != expected_revision:
            raise ChangedMeanwhile(self.location)
        if held.etag is None or held.etag.startswith("W/"):
            raise CannotWrite(
                f"{self.location}: gives no strong ETag, so a change in between would be overwritten unseen; "
                "change it in its own way, or push --force"
            )
        return {"If-Match": held.etag}

    async def _look(self) -> str:
        return (await self._get(self._held)).snapshot.revision

    async def _get(self, known: _Held | None) -> _Held:
        """What the server holds; `known` again when it says that it is still that. Raises `CannotRead`."""
        condition = {} if known is None or known.etag is None else {"If-None-Match": known.etag}
        url = self._url
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._request("GET", url, condition) as answer:
                if answer.status in _REDIRECTS and "Location" in answer.headers:
                    url = self._redirected(url, answer.headers["Location"])
                    continue
                if answer.status == 304 and known is not None:
                    return known
                self._check(answer.status)
                data = await self._body(answer)
                etag = answer.headers.get("ETag")
            snapshot = await asyncio.to_thread(bundle.snapshot, self.location, data)
            self._held = _Held(etag, snapshot)
            return self._held
        raise CannotRead(f"{self.location}: redirects more than {_MAX_REDIRECTS} times")

    def _redirected(self, url: URL, where: str) -> URL:
        try:
            target = url.join(URL(where))
        except ValueError:
            raise CannotRead(f"{self.location}: redirects to what is no URL") from None
        if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
            raise CannotRead(f"{self.location}: redirects to {target.scheme}, which is not followed")
        return target.with_fragment(None).with_user(None)

    def _check(self, status: int) -> None:
        if status == 404:
            raise NothingThere(f"{self.location}: nothing is there (404)")
        if status in (401, 403):
            raise CannotRead(f"{self.location}: is refused ({status}); {HEADERS_VARIABLE} may give what it wants")
        if status != 200:
            raise CannotRead(f"{self.location}: answers {status}")

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            data += chunk
            if len(data) > bundle.MAX_BYTES:
                raise bundle.too_large(self.location)
        return bytes(data)

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: URL, headers: Mapping[str, str], data: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, closed with the block; whatever fails until then becomes `CannotRead`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        # They may be secrets: they go to the server that was named and to no other.
        sent = CIMultiDict(self._headers) if url.origin() == self._url.origin() else CIMultiDict[str]()
        sent.update(headers)
        try:
            async with self._session.request(method, url, headers=sent, data=data, allow_redirects=False) as answer:
                yield answer
        except aiohttp.ClientSSLError:
            raise CannotRead(f"{self.location}: its certificate is not trusted, or it speaks no TLS") from None
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0
            why = os.strerror(number) if number > 0 else "no such host"  # asyncio's own texts differ by loop
            raise CannotRead(f"{self.location}: cannot be reached ({why})") from None
        except TimeoutError:
            raise CannotRead(f"{self.location}: no answer within {_TIMEOUT.total:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CannotRead(f"{self.location}: the answer broke off ({type(error).__name__})") from None


def _headers(text: str) -> CIMultiDict[str]:
    """From `Name: value` lines. Raises `CannotRead`."""
    headers = CIMultiDict[str]()
    for number, line in enumerate(text.splitlines(), 1):
        match = _HEADER.fullmatch(line)
        if match is not None:
            headers.add(match[1], match[2])
        elif line.strip():
            raise CannotRead(f"{HEADERS_VARIABLE}: line {number} is no 'Name: value'")
    return headers
