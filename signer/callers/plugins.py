"""Types of callers from other installed packages, by the entry point group `oss_signer.callers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from signer.callers.caller import CallerCheck

GROUP = "oss_signer.callers"

Factory = Callable[[Mapping[str, Any], str], CallerCheck]
"""Returns the check of an app.

Args:
    entry: The app's `callers:` entry as it is in the YAML, including `type`.
    app_id: The app's id.

Raises:
    ValueError: The entry is not valid; the text is shown to the operator.
"""


class PluginError(ValueError):
    """A type of callers cannot be loaded; the text gives the reason."""


def plugin_types() -> list[str]:
    """Return the types that installed packages provide, sorted."""
    return sorted({each.name for each in _entry_points()})


def load_plugin(caller_type: str) -> Factory:
    """Return the factory of a type. Blocks: it imports the package.

    Raises:
        PluginError: No package, or more than one, provides the type, or it cannot be imported.
    """
    found = [each for each in _entry_points() if each.name == caller_type]
    if not found:
        raise PluginError(f"no installed package provides callers of type '{caller_type}' ({GROUP}); install one")
    if len({each.value for each in found}) > 1:
        raise PluginError(f"several installed packages provide callers of type '{caller_type}'; remove all but one")
    try:
        factory: Factory = found[0].load()
    except Exception as error:
        # The package may run any code. It has received no secret yet, so its text can be shown.
        raise PluginError(
            f"callers of type '{caller_type}' cannot be loaded: {type(error).__name__}: {error}"
        ) from None
    if not callable(factory):
        raise PluginError(f"callers of type '{caller_type}' cannot be loaded: {found[0].value} is not callable")
    return factory


def _entry_points() -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))
