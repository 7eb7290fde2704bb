"""Which kind of store a `--config` names: its URL's scheme decides, a plain path is a file or directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead, Store

ENTRY_POINTS = "oss_signer.stores"
"""The group in which other packages offer a store: `scheme = "package.module:function"`, a `Factory`."""

Factory = Callable[[str, Mapping[str, str]], Store]
"""From the whole URL and the environment to a store; raises `CannotRead` for a URL it cannot use."""

# By name, as those of others: a signer on files loads neither Redis' client nor OSS's SDK.
_OWN = {
    scheme: EntryPoint(scheme, value, ENTRY_POINTS)
    for scheme, value in {
        "http": "signer.stores.http:HttpStore",
        "https": "signer.stores.http:HttpStore",
        "oss": "signer.stores.oss:OssStore",
        "redis": "signer.stores.redis:RedisStore",
        "rediss": "signer.stores.redis:RedisStore",
        "unix": "signer.stores.redis:RedisStore",
    }.items()
}


def open_store(location: str, environ: Mapping[str, str] = os.environ) -> Store:
    """Raises `CannotRead` for a scheme that nobody offers, or a URL that its store cannot use."""
    scheme, separator, _ = location.partition("://")
    if not separator:
        return FileStore(Path(location))
    offered = {each.name: each for each in entry_points(group=ENTRY_POINTS)} | _OWN
    if scheme not in offered:
        known = ", ".join(f"{name}://" for name in sorted(offered))
        raise CannotRead(f"--config {scheme}://...: no such kind of store; a path, or one of: {known}")
    try:
        factory: Factory = offered[scheme].load()
    except (ImportError, AttributeError) as error:
        raise CannotRead(f"--config {scheme}://...: the package of that store cannot be loaded: {error}") from None
    return factory(location, environ)
