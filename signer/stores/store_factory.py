"""Creates the store that `--config` names: the scheme of a URL selects its class, and a path is a file or directory."""

import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

from signer import redis_url
from signer.plugins import STORES, PluginError, load_plugin, plugin_names
from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead, Store

_BUILT_IN = {
    "http": "signer.stores.http:HttpStore",
    "https": "signer.stores.http:HttpStore",
    "oss": "signer.stores.oss:OssStore",
    **dict.fromkeys(redis_url.SCHEMES, "signer.stores.redis:RedisStore"),
}
"""Loaded by name: a signer that reads files imports neither the Redis client nor the OSS SDK."""


def is_remote(location: str) -> bool:
    """Return whether a location is that of a store in which others than this machine's operators may write."""
    return "://" in location


def open_store(location: str, environ: Mapping[str, str] = os.environ) -> Store:
    """Create the store at a path or URL, or raise `CannotRead` for an unknown scheme, a broken plugin or a bad URL."""
    if not is_remote(location):
        return FileStore(Path(location))
    scheme = location.partition("://")[0]
    known = {*_BUILT_IN, *plugin_names(STORES)}
    if scheme not in known:
        schemes = ", ".join(f"{name}://" for name in sorted(known))
        raise CannotRead(f"--config {scheme}://...: unknown kind of store; use a path or one of {schemes}")
    try:
        is_built_in = scheme in _BUILT_IN
        create = EntryPoint(scheme, _BUILT_IN[scheme], STORES).load() if is_built_in else load_plugin(STORES, scheme)
    except PluginError as error:
        raise CannotRead(f"--config {scheme}://...: {error}") from None
    store: Store = create(location, environ)
    return store
