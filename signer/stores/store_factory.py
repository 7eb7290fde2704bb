"""Creates the store that `--config` names: the scheme of a URL selects its class, and a path is a file or directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead, Store

ENTRY_POINT_GROUP = "oss_signer.stores"
"""The group in which other packages register stores: `scheme = "package.module:function"`, a `StoreFactory`."""

StoreFactory = Callable[[str, Mapping[str, str]], Store]
"""Creates a store from its URL and the environment; raises `CannotRead` for an invalid URL."""

_BUILT_IN = {
    "http": "signer.stores.http:HttpStore",
    "https": "signer.stores.http:HttpStore",
    "oss": "signer.stores.oss:OssStore",
    "redis": "signer.stores.redis:RedisStore",
    "rediss": "signer.stores.redis:RedisStore",
    "unix": "signer.stores.redis:RedisStore",
}
"""Loaded by name: a signer that reads files imports neither the Redis client nor the OSS SDK."""


def is_remote(location: str) -> bool:
    """Return whether a location is that of a store in which others than this machine's operators may write."""
    return "://" in location


def open_store(location: str, environ: Mapping[str, str] = os.environ) -> Store:
    """Create the store at a path or URL.

    Raises:
        CannotRead: the scheme is unknown, its package cannot be imported, or its store rejects the URL.
    """
    if not is_remote(location):
        return FileStore(Path(location))
    scheme = location.partition("://")[0]
    targets = {each.name: each.value for each in entry_points(group=ENTRY_POINT_GROUP)} | _BUILT_IN
    if scheme not in targets:
        known = ", ".join(f"{name}://" for name in sorted(targets))
        raise CannotRead(f"--config {scheme}://...: unknown kind of store; use a path or one of {known}")
    try:
        factory: StoreFactory = EntryPoint(scheme, targets[scheme], ENTRY_POINT_GROUP).load()
    except (ImportError, AttributeError) as error:
        raise CannotRead(f"--config {scheme}://...: the package of this store cannot be imported: {error}") from None
    return factory(location, environ)
