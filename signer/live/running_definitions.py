"""What a running signer has in force, asked of its admin address, against definitions that nobody has saved yet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import aiohttp

from signer.definitions import model
from signer.definitions.diff import Section, describe_differences, printable_sections
from signer.definitions.registry import Registry
from signer.listen_address import ListenAddress

PATH = "/-/definitions"

_UNIX = "unix:"
_SECONDS = 10.0


class CannotCompare(Exception):
    """The running signer did not say what it has in force; the text says why and how to mend it."""


def admin_url(server: model.Server) -> str:
    """Where a signer on this machine with these settings is asked. Raises `CannotCompare` where they do not say it."""
    address = ListenAddress.parse(server.admin)
    if address.path is None and address.port == 0:
        raise CannotCompare("server.admin has port 0, any free port; write the running signer's URL: --diff URL")
    return address.url()


async def in_force(url: str, token: str | None) -> dict[str, Section]:
    """The parts of the running signer's definitions, secrets masked. Raises `CannotCompare`."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    base = "http://localhost" if url.startswith(_UNIX) else url.rstrip("/")
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS), connector=_connector(url)) as session,
            # A redirect would carry the token to somebody else.
            session.get(base + PATH, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status == 401:
                raise CannotCompare(f"the signer at {url} has another admin token; set OSS_SIGNER_ADMIN_TOKEN to it")
            if answer.status != 200:
                raise CannotCompare(f"{url} is no signer's admin address: {PATH} answers {answer.status}")
            return _sections(await answer.json(content_type=None))
    except (aiohttp.ClientError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise CannotCompare(
            f"no signer answers at {url}: {why}; write the running signer's admin address: --diff URL"
        ) from None
    except ValueError:
        raise CannotCompare(f"{url} is no signer's admin address: {PATH} answers something else") from None


def _connector(url: str) -> aiohttp.BaseConnector | None:
    return aiohttp.UnixConnector(url.removeprefix(_UNIX)) if url.startswith(_UNIX) else None


async def changes_to(url: str, registry: Registry) -> list[str]:
    """What the signer at `url` would log on taking this over, in the same words. Raises `CannotCompare`."""
    token = registry.server.admin_token
    given = os.environ.get("OSS_SIGNER_ADMIN_TOKEN") or (None if token is None else token.get_secret_value())
    running = await in_force(url, given)
    wanted = await asyncio.to_thread(printable_sections, registry)
    return describe_differences(running, wanted) + [
        f"server.{name} is another; it needs a restart"
        for name in model.Server.model_fields
        if _setting(running, name) != _setting(wanted, name)
    ]


def _setting(found: Mapping[str, Section], name: str) -> Section:
    """What is said of it, by its dotted names; its default where that is nothing."""
    said = {key: value for key, value in found.get("server", {}).items() if key.partition(".")[0] == name}
    return said or {name: str(model.Server.model_fields[name].default)}


def _sections(found: object) -> dict[str, Section]:
    """Raises ValueError for what is none."""
    if not isinstance(found, dict) or not all(isinstance(section, dict) for section in found.values()):
        raise ValueError
    return {str(name): {str(key): str(value) for key, value in each.items()} for name, each in found.items()}
