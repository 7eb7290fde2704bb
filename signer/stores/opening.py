"""Which kind of store a `--config` names: its URL's scheme decides, a plain path is a file or directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead, Store

ENTRY_POINTS = "oss_signer.stores"
"""The group in which other packages offer a store: `scheme = "package.module:function"`, a `Factory`."""

Factory = Callable[[str, Mapping[str, str]], Store]
"""From the whole URL and the environment to a store; raises `CannotRead` for a URL it cannot use."""

_OWN: dict[str, Factory] = {}


def open_store(location: str, environ: Mapping[str, str] = os.environ) -> Store:
    """Raises `CannotRead` for a scheme that nobody offers, or a URL that its store cannot use."""
    scheme, separator, _ = location.partition("://")
    if not separator:
        return FileStore(Path(location))
    factory = _OWN.get(scheme)
    if factory is not None:
        return factory(location, environ)
    offered = entry_points(group=ENTRY_POINTS)
    if scheme not in offered.names:
        known = ", ".join(f"{name}://" for name in sorted({*_OWN, *offered.names})) or "none"
        raise CannotRead(f"--config {scheme}://...: no such kind of store; a path, or one of: {known}")
    other: Factory = offered[scheme].load()
    return other(location, environ)
