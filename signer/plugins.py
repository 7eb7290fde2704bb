"""Loads plugins: types of callers and stores that other installed packages register as entry points."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

CALLERS = "oss_signer.callers"
"""Registers functions of a `callers:` entry, as a mapping, and the app's id, that return a `CallerCheck`.

They raise ValueError for an invalid entry; its text is shown to the operator.
"""
STORES = "oss_signer.stores"
"""Registers functions of a store's URL and the environment, by URL scheme, that return a `Store`."""


class PluginError(ValueError):
    """A plugin cannot be loaded; the text gives the reason."""


def plugin_names(group: str) -> list[str]:
    """Return the names that installed packages register in a group, sorted."""
    return sorted({each.name for each in entry_points(group=group)})


def load_plugin(group: str, name: str) -> Any:
    """Import a plugin and return its function, or raise `PluginError` unless exactly one package provides it."""
    found: dict[str, EntryPoint] = {each.value: each for each in entry_points(group=group) if each.name == name}
    if not found:
        raise PluginError(f"no installed package provides '{name}' ({group}); install one")
    if len(found) > 1:
        raise PluginError(f"several installed packages provide '{name}' ({group}); remove all but one")
    [(value, entry_point)] = found.items()
    try:
        function = entry_point.load()
    except Exception as error:
        # The package may run any code. It has received no secret yet, so its text can be shown.
        raise PluginError(f"'{name}' ({group}) cannot be loaded: {type(error).__name__}: {error}") from None
    if not callable(function):
        raise PluginError(f"'{name}' ({group}) cannot be loaded: {value} is not callable")
    return function
