"""`--config https://host/path`: definitions on any HTTP server, such as Nacos' configuration API or Consul's `?raw` KV.

The URL is polled every 10 s, with If-None-Match if the server sends ETags. The revision is a hash of the body, so that
a change is found without ETags too. The option `poll` is in the fragment, which is not sent to the server:
`https://host/path#poll=5s`. The environment contains the request headers.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import unquote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from signer.dns_resolver import DnsResolver
from signer.outbound import ResponseTooLarge, new_connector, read_response
from signer.stores import bundle, store_url
from signer.stores.polling import PolledStore
from signer.stores.protocol import EMPTY_REVISION, CannotRead, CannotWrite, RevisionConflict, Snapshot, StoreIsEmpty

HEADERS_VARIABLE = "OSS_SIGNER_STORE_HEADERS"

_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_SHOWN_PARAMETERS = ("dataId", "group", "tenant", "namespaceId", "raw", "dc", "ns", "ref")
"""Parameters of Nacos, Consul and Git servers that are not secret; any other may be."""
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")


class HttpStore(PolledStore):
    """A document on an HTTP server."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        """Create a store; raise `CannotRead` if the URL or the variable with the headers is invalid."""
        parts = store_url.parse_url(url)
        location = store_url.printable_url(parts, _SHOWN_PARAMETERS)
        options = store_url.parse_options(parts.fragment, ("poll",), location)
        super().__init__(location, store_url.poll_seconds(options, location))
        try:
            self._url = URL(parts._replace(fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl())
            self._url.origin()
        except ValueError:
            raise CannotRead(f"--config {self.location}: has no host; write https://HOST/PATH") from None
        self._headers = _parse_headers(environ.get(HEADERS_VARIABLE, ""))
        if parts.username is not None:
            credentials = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
            self._headers.setdefault("Authorization", credentials)
        self._resolver = DnsResolver()
        self._session: aiohttp.ClientSession | None = None
        self._latest: Snapshot | None = None
        self._latest_etag: str | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def save(self, text: str, expected_revision: str | None) -> str:
        """Replace the document with a PUT request; see `WritableStore.save`."""
        data = text.encode()
        headers = {"Content-Type": "application/yaml", **await self._precondition(expected_revision)}
        async with self._request("PUT", self._url, headers, data) as response:
            status = response.status
        if status == 412:
            raise RevisionConflict(self.location)
        if not 200 <= status < 300:
            raise CannotWrite(f"{self.location}: PUT returned {status}; write to this server with its own tool")
        try:
            snapshot = await self._get()
        except CannotRead as error:
            raise CannotWrite(f"PUT returned {status}, but reading it back failed: {error}") from None
        if snapshot.revision != bundle.text_revision(data):
            raise CannotWrite(f"{self.location}: PUT returned {status}, but the server has another text; pull it")
        return snapshot.revision

    async def _precondition(self, expected_revision: str | None) -> dict[str, str]:
        """Return the header with which the server rejects the PUT after a concurrent change; some servers ignore it.

        See: https://www.rfc-editor.org/rfc/rfc9110#name-if-match
        """
        if expected_revision is None:
            return {}
        if expected_revision == EMPTY_REVISION:
            return {"If-None-Match": "*"}
        try:
            snapshot = await self._get()
        except StoreIsEmpty:
            raise RevisionConflict(self.location) from None
        if snapshot.revision != expected_revision:
            raise RevisionConflict(self.location)
        etag = self._latest_etag
        if etag is None or etag.startswith("W/"):
            problem = "the server sends no strong ETag, so a concurrent change would be lost"
            fix = "write to this server with its own tool, or push --force"
            raise CannotWrite(f"{self.location}: {problem}; {fix}")
        return {"If-Match": etag}

    async def _fetch(self) -> tuple[Snapshot, str]:
        snapshot = await self._get()
        return snapshot, snapshot.revision

    async def _get(self) -> Snapshot:
        """Return the document; transfer it only if it has changed since the latest response."""
        latest = self._latest
        condition = {} if latest is None or self._latest_etag is None else {"If-None-Match": self._latest_etag}
        url = self._url
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._request("GET", url, condition) as response:
                if response.status in _REDIRECTS and "Location" in response.headers:
                    url = self._redirect_target(url, response.headers["Location"])
                    continue
                if response.status == 304 and latest is not None:
                    return latest
                if response.status != 200:
                    raise self._explain(response.status)
                try:
                    data = await read_response(response, bundle.MAX_BYTES)
                except ResponseTooLarge:
                    raise bundle.too_large(self.location) from None
                etag = response.headers.get("ETag")
            self._latest = await asyncio.to_thread(bundle.parse_snapshot, self.location, data)
            self._latest_etag = etag
            return self._latest
        raise CannotRead(f"{self.location}: more than {_MAX_REDIRECTS} redirects; write the final URL")

    def _redirect_target(self, url: URL, location_header: str) -> URL:
        try:
            target = url.join(URL(location_header))
        except ValueError:
            raise CannotRead(f"{self.location}: redirects to an invalid URL; write the final URL") from None
        if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
            scheme = target.scheme
            raise CannotRead(f"{self.location}: redirects to {scheme}, which is not allowed; write the final URL")
        return target.with_fragment(None).with_user(None)

    def _explain(self, status: int) -> CannotRead:
        if status == 404:
            return StoreIsEmpty(f"{self.location}: not found (404); check the path, or push the definitions")
        if status in (401, 403):
            return CannotRead(f"{self.location}: access denied ({status}); set its token in {HEADERS_VARIABLE}")
        return CannotRead(f"{self.location}: the server returned {status}; see its log")

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, url: URL, headers: Mapping[str, str], data: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its response; an error of the connection in the block becomes `CannotRead`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=new_connector(self._resolver), timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
            )
        # The configured headers may be secret: they are sent to the configured server only.
        all_headers = CIMultiDict(self._headers) if url.origin() == self._url.origin() else CIMultiDict[str]()
        all_headers.update(headers)
        try:
            async with self._session.request(
                method, url, headers=all_headers, data=data, allow_redirects=False
            ) as response:
                yield response
        except aiohttp.ClientSSLError:
            raise CannotRead(f"{self.location}: TLS failed; check that its certificate is trusted") from None
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno or 0
            reason = os.strerror(number) if number > 0 else "unknown host"  # the texts of event loops differ
            raise CannotRead(f"{self.location}: cannot connect ({reason}); check the host and port") from None
        except TimeoutError:
            raise CannotRead(f"{self.location}: no response within {_TIMEOUT.total:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise CannotRead(f"{self.location}: the response ended early ({type(error).__name__})") from None


def _parse_headers(text: str) -> CIMultiDict[str]:
    headers = CIMultiDict[str]()
    for number, line in enumerate(text.splitlines(), 1):
        match = _HEADER.fullmatch(line)
        if match is not None:
            headers.add(match[1], match[2])
        elif line.strip():
            raise CannotRead(f"{HEADERS_VARIABLE}: line {number} is not a header; write 'Name: value'")
    return headers
