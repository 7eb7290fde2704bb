"""What a running signer has in force, asked of its admin address, against definitions that nobody has saved yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from signer.definitions import model
from signer.definitions.diff import Section, differences, sections
from signer.definitions.registry import Registry

PATH = "/-/definitions"

_SECONDS = 10.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104


class CannotCompare(Exception):
    """The running signer did not say what it has in force; the text says why and how to mend it."""


def admin_url(server: model.Server) -> str:
    """Where a signer on this machine with these settings is asked. Raises `CannotCompare` where they do not say it."""
    host, _, port = server.admin.rpartition(":")
    if int(port) == 0:
        raise CannotCompare("server.admin takes any free port; write the running signer's address: --diff URL")
    return f"http://{_EVERYWHERE.get(host, host)}:{port}"


async def in_force(url: str) -> dict[str, Section]:
    """The parts of the running signer's definitions, secrets masked. Raises `CannotCompare`."""
    try:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url.rstrip("/") + PATH) as answer:
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


async def changes_to(url: str, registry: Registry) -> list[str]:
    """What the signer at `url` would log on taking this over, in the same words. Raises `CannotCompare`."""
    running = await in_force(url)
    wanted = await asyncio.to_thread(sections, registry)
    return differences(running, wanted) + [
        f"server.{name} is another; it needs a restart"
        for name in model.Server.model_fields
        if _server(running).get(name) != _server(wanted).get(name)
    ]


def _server(found: Mapping[str, Section]) -> Section:
    return {**model.Server().model_dump(), **found.get("server", {})}


def _sections(found: object) -> dict[str, Section]:
    """Raises ValueError for what is none."""
    if not isinstance(found, dict) or not all(isinstance(section, dict) for section in found.values()):
        raise ValueError
    return {str(name): {str(key): str(value) for key, value in each.items()} for name, each in found.items()}
