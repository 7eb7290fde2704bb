"""The content of a registry, to compare two of them."""

from __future__ import annotations

from typing import Any

from signer.definitions.diff import printable_sections
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings


def content_of(registry: Registry) -> dict[str, Any]:
    """Return everything in a registry as comparable values."""
    return {
        "server": registry.server,
        "apps": dict(registry.apps),
        "roles": dict(registry.roles),
        "default_app": registry.default_app,
        "warnings": [str(warning) for warning in find_warnings(registry)],
        "sections": printable_sections(registry),
    }
