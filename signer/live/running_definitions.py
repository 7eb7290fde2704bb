"""Compares definitions that are not saved yet with those of a running signer, which its admin address returns."""

import asyncio
import os
from collections.abc import Mapping

from signer.definitions import model
from signer.definitions.diff import Section, describe_differences, printable_sections
from signer.definitions.registry import Registry
from signer.live.admin_client import AdminClient, CannotCallSigner, admin_url

PATH = "/-/definitions"
_OPTION = "--diff"


async def changes_to_running(url: str, registry: Registry) -> list[str]:
    """Return the changes that a running signer would log if it reloaded this registry; may raise `CannotCallSigner`.

    `url` is its admin address; empty for the one in the registry.
    """
    configured = registry.server.admin_token
    token = os.environ.get("OSS_SIGNER_ADMIN_TOKEN") or (None if configured is None else configured.get_secret_value())
    url = url or admin_url(registry.server, option=_OPTION)
    running = _parse_sections(await AdminClient(url, token, option=_OPTION).call("GET", PATH), url)
    wanted = await asyncio.to_thread(printable_sections, registry)
    return describe_differences(running, wanted) + [
        f"server.{name} changed and needs a restart"
        for name in model.Server.restart_keys()
        if _server_setting(running, name) != _server_setting(wanted, name)
    ]


def _parse_sections(body: object, url: str) -> dict[str, Section]:
    if not isinstance(body, dict) or not all(isinstance(section, dict) for section in body.values()):
        raise CannotCallSigner(f"{url} is not the admin address of a signer: GET {PATH} returned something else")
    return {str(name): {str(key): str(value) for key, value in each.items()} for name, each in body.items()}


def _server_setting(sections: Mapping[str, Section], name: str) -> Section:
    """Return the entries of a setting by their dotted names; its default if it is not set."""
    entries = {key: value for key, value in sections.get("server", {}).items() if key.partition(".")[0] == name}
    return entries or {name: str(model.Server.model_fields[name].default)}
