"""The commands `push` and `pull`: definitions into a store, and out of it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from signer.commands.check import tell_warnings
from signer.definitions.diff import describe_changes
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.environment import Environment
from signer.stores import bundle
from signer.stores.file import FileStore
from signer.stores.protocol import NOTHING, CannotRead, CannotWrite, NothingThere, Snapshot, Store, WritableStore
from signer.stores.store_factory import open_store


def add_push_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="FILE-or-DIR", help="the definitions to put into the store")
    parser.add_argument("--force", action="store_true", help="whatever the store holds meanwhile")


async def run_push(options: argparse.Namespace) -> int:
    """Checks the definitions, says what they change, and writes them if the store still holds what was compared.

    Raises `BadDefinitions`, `CannotRead`, `CannotReadEnvironment` and `CannotWrite`.
    """
    environ = Environment(os.environ, options.env_file).read()
    wanted = FileStore(options.source).read().files
    parser = Parser()
    registry = parser.read(wanted, environ)
    tell_warnings(registry.warnings())
    text = bundle.join(wanted)
    store = open_store(options.config)
    try:
        held = await _held(store, force=options.force)
        if not isinstance(store, WritableStore):
            raise CannotWrite(f"{store.location}: push cannot write into this kind of store; change it in its own way")
        if held is not None and bundle.join(held.files) == text:
            _say(f"{store.location}: holds exactly this; nothing to push")
            return 0
        for line in _difference(held, registry, environ):
            _say(line)
        expected = NOTHING if held is None else held.revision
        revision = await store.save(text, None if options.force else expected)
    finally:
        await store.close()
    _say(f"{store.location}: pushed, revision {revision}")
    return 0


async def run_pull(options: argparse.Namespace) -> int:
    """Prints what the store holds; several files each behind a `# file: NAME` line. Raises `CannotRead`."""
    store = open_store(options.config)
    try:
        sys.stdout.write(bundle.join((await store.load()).files))
    finally:
        await store.close()
    return 0


async def _held(store: Store, *, force: bool) -> Snapshot | None:
    """None when the store holds nothing, or nothing that can be read but may be replaced."""
    try:
        return await store.load()
    except NothingThere:
        return None
    except CannotRead as error:
        if not force:
            raise
        _say(f"cannot be read: {error}")
        return None


def _difference(held: Snapshot | None, registry: Registry, environ: Mapping[str, str]) -> list[str]:
    if held is None:
        return [f"+ everything; apps: {len(registry.apps)}"]
    try:
        before = Parser().read(held.files, environ)
    except BadDefinitions as error:
        return [f"what the store holds has mistakes, such as {error.mistakes[0]}"]
    return describe_changes(before, registry) or ["no setting changes, only the text"]


def _say(line: str) -> None:
    print(line)  # noqa: T201
