"""Requests to the admin address of a running signer, for commands."""

from collections.abc import Collection
from typing import Any

import aiohttp

from signer.definitions import model
from signer.errors import NO_SUCH_PATH
from signer.listen_address import ListenAddress

_UNIX_PREFIX = "unix:"
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_MAX_DETAIL_CHARACTERS = 200


class CannotCallSigner(Exception):
    """A running signer cannot be reached, or does not do what was requested; the text gives the reason and the fix."""


class AdminClient:
    """Calls one signer."""

    def __init__(self, url: str, token: str | None, *, option: str) -> None:
        """Create a client; `url` is `http://host:port` or `unix:/path`, and `option` the one that names it."""
        self._url = url
        self._token = token
        self._fix = f"write the running signer's URL: {option} URL"

    async def call(self, method: str, path: str, document: object = None, *, statuses: Collection[int] = (200,)) -> Any:
        """Return the JSON document of a response with one of these statuses, or raise `CannotCallSigner`.

        `document` is sent as JSON.
        """
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        unix_path = self._url.removeprefix(_UNIX_PREFIX) if self._url.startswith(_UNIX_PREFIX) else None
        connector = None if unix_path is None else aiohttp.UnixConnector(unix_path)
        base_url = self._url.rstrip("/") if unix_path is None else "http://localhost"
        wrong_address = f"{self._url} is not the admin address of a signer: {method} {path} returned"
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as session,
                # A redirect would send the token to another server.
                session.request(
                    method, base_url + path, json=document, headers=headers, allow_redirects=False
                ) as response,
            ):
                if response.status == 401:
                    raise CannotCallSigner(
                        f"the signer at {self._url} rejects the admin token; set OSS_SIGNER_ADMIN_TOKEN to its token"
                    )
                found = await response.json(content_type=None)
                if response.status not in statuses:
                    reason = found.get("error", found.get("detail")) if isinstance(found, dict) else None
                    if not isinstance(reason, str) or reason == NO_SUCH_PATH:  # the latter at a public address
                        raise CannotCallSigner(f"{wrong_address} {response.status}; {self._fix}")
                    raise CannotCallSigner(f"the signer at {self._url}: {reason[:_MAX_DETAIL_CHARACTERS]}")
                return found
        except TimeoutError:
            raise CannotCallSigner(f"no response of the signer at {self._url}; see its log") from None
        except (aiohttp.ClientError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise CannotCallSigner(f"no signer at {self._url}: {reason}; {self._fix}") from None
        except ValueError:
            raise CannotCallSigner(f"{wrong_address} something else; {self._fix}") from None


def admin_url(server: model.Server, *, option: str) -> str:
    """Return the URL of a signer on this machine; raise `CannotCallSigner` if its settings leave the port open."""
    address = ListenAddress.parse(server.admin)
    if address.path is None and address.port == 0:
        raise CannotCallSigner(f"server.admin has port 0, any free port; write the running signer's URL: {option} URL")
    return address.url()
