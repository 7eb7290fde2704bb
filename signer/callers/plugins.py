"""Kinds of callers that other installed packages offer, by the entry point group `oss_signer.callers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from signer.callers.caller import CallerCheck

GROUP = "oss_signer.callers"

Factory = Callable[[Mapping[str, Any], str], CallerCheck]
"""Takes the app's `callers:` entry as it stands in the YAML, `type` and all, and the app's id.

Raises ValueError, with a text for operators, for an entry that it cannot use.
"""


class PluginError(ValueError):
    """A kind that cannot be had; the text says why."""


def kinds() -> list[str]:
    """The names of all that are offered, sorted."""
    return sorted({each.name for each in _offered()})


def load(kind: str) -> Factory:
    """Blocks to read files. Raises `CannotLoad`."""
    found = [each for each in _offered() if each.name == kind]
    if not found:
        raise PluginError(f"no installed package offers callers of type '{kind}' ({GROUP})")
    if len({each.value for each in found}) > 1:
        raise PluginError(f"several installed packages offer callers of type '{kind}'; remove all but one")
    try:
        factory: Factory = found[0].load()
    except Exception as error:
        # Any code may run there. It was shown no secret yet, so that its text may be told.
        raise PluginError(f"callers of type '{kind}' cannot be loaded: {type(error).__name__}: {error}") from None
    if not callable(factory):
        raise PluginError(f"callers of type '{kind}': {found[0].value} cannot be called")
    return factory


def _offered() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))
