"""Whether two registries say the same."""

from __future__ import annotations

from typing import Any

from signer.definitions.diff import printable_sections
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings


def all_of(registry: Registry) -> dict[str, Any]:
    """Everything that a registry answers with, to be compared."""
    return {
        "server": registry.server,
        "apps": dict(registry.apps),
        "roles": dict(registry.roles),
        "default_app": registry.default_app,
        "warnings": [str(warning) for warning in find_warnings(registry)],
        "sections": printable_sections(registry),
    }
