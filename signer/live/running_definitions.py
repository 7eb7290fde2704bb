"""Compares definitions that are not saved yet with those of a running signer, which its admin address returns."""

import asyncio
import os
from collections.abc import Mapping

import aiohttp

from signer.definitions import model
from signer.definitions.diff import Section, describe_differences, printable_sections
from signer.definitions.registry import Registry
from signer.listen_address import ListenAddress

PATH = "/-/definitions"

_UNIX_PREFIX = "unix:"
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class CannotCompare(Exception):
    """The definitions of the running signer are not available; the text gives the reason and the fix."""


def admin_url(server: model.Server) -> str:
    """Return the admin URL of a signer on this machine; raise `CannotCompare` if its settings leave the port open."""
    address = ListenAddress.parse(server.admin)
    if address.path is None and address.port == 0:
        raise CannotCompare("server.admin has port 0, any free port; write the running signer's URL: --diff URL")
    return address.url()


async def changes_to_running(url: str, registry: Registry) -> list[str]:
    """Return the changes that the signer at `url` would log if it reloaded this registry; may raise `CannotCompare`."""
    configured = registry.server.admin_token
    token = os.environ.get("OSS_SIGNER_ADMIN_TOKEN") or (None if configured is None else configured.get_secret_value())
    running = await _fetch_sections(url, token)
    wanted = await asyncio.to_thread(printable_sections, registry)
    return describe_differences(running, wanted) + [
        f"server.{name} changed and needs a restart"
        for name in model.Server.model_fields
        if _server_setting(running, name) != _server_setting(wanted, name)
    ]


async def _fetch_sections(url: str, token: str | None) -> dict[str, Section]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    unix_path = url.removeprefix(_UNIX_PREFIX) if url.startswith(_UNIX_PREFIX) else None
    connector = None if unix_path is None else aiohttp.UnixConnector(unix_path)
    base_url = url.rstrip("/") if unix_path is None else "http://localhost"
    fix = "write the running signer's URL: --diff URL"
    wrong_address = f"{url} is not the admin address of a signer: GET {PATH} returned"
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, connector=connector) as session,
            # A redirect would send the token to another server.
            session.get(base_url + PATH, headers=headers, allow_redirects=False) as response,
        ):
            if response.status == 401:
                raise CannotCompare(
                    f"the signer at {url} rejects the admin token; set OSS_SIGNER_ADMIN_TOKEN to its token"
                )
            if response.status != 200:
                raise CannotCompare(f"{wrong_address} {response.status}; {fix}")
            return _parse_sections(await response.json(content_type=None))
    except (aiohttp.ClientError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise CannotCompare(f"no signer at {url}: {reason}; {fix}") from None
    except ValueError:
        raise CannotCompare(f"{wrong_address} something else; {fix}") from None


def _parse_sections(body: object) -> dict[str, Section]:
    if not isinstance(body, dict) or not all(isinstance(section, dict) for section in body.values()):
        raise ValueError
    return {str(name): {str(key): str(value) for key, value in each.items()} for name, each in body.items()}


def _server_setting(sections: Mapping[str, Section], name: str) -> Section:
    """Return the entries of a setting by their dotted names; its default if it is not set."""
    entries = {key: value for key, value in sections.get("server", {}).items() if key.partition(".")[0] == name}
    return entries or {name: str(model.Server.model_fields[name].default)}
