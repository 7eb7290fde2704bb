"""Validate definitions and write them into a store."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from signer.commands.definition_options import add_definition_options, environment
from signer.commands.mistake_output import print_warnings
from signer.definitions.diff import describe_changes
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings
from signer.server import event_loop
from signer.stores import bundle
from signer.stores.file import FileStore
from signer.stores.protocol import EMPTY_REVISION, CannotRead, CannotWrite, Snapshot, Store, StoreIsEmpty, WritableStore
from signer.stores.store_factory import open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    parser.add_argument("source", type=Path, metavar="FILE-or-DIR", help="the definitions to write into the store")
    parser.add_argument(
        "--force", action="store_true", help="overwrite the store even if it changed meanwhile or cannot be read"
    )


def run(options: argparse.Namespace) -> int:
    """Print what changes, and write the definitions if the store still contains what they were compared with."""
    return event_loop.run(_push(options))


async def _push(options: argparse.Namespace) -> int:
    environ = environment(options).read()
    files = (await FileStore(options.source).load()).files
    registry = Parser().parse(files, environ)
    print_warnings(find_warnings(registry))
    text = bundle.join_files(files)
    store = open_store(options.config)
    try:
        current = await _current(store, force=options.force)
        if not isinstance(store, WritableStore):
            raise CannotWrite(f"{store.location}: push cannot write to this kind of store; change it with its own tool")
        if current is not None and bundle.join_files(current.files) == text:
            print(f"{store.location}: already has these definitions; nothing to push")
            return 0
        print("\n".join(_differences(current, registry, environ)))
        expected_revision = EMPTY_REVISION if current is None else current.revision
        revision = await store.save(text, None if options.force else expected_revision)
    finally:
        await store.close()
    print(f"{store.location}: pushed, revision {revision}")
    return 0


async def _current(store: Store, *, force: bool) -> Snapshot | None:
    """Return what the store contains; None when it is empty, or with `--force` when it cannot be read."""
    try:
        return await store.load()
    except StoreIsEmpty:
        return None
    except CannotRead as error:
        if not force:
            raise
        print(f"overwriting what cannot be read: {error}")
        return None


def _differences(current: Snapshot | None, registry: Registry, environ: Mapping[str, str]) -> list[str]:
    if current is None:
        return [f"+ everything; apps: {len(registry.apps)}"]
    try:
        before = Parser().parse(current.files, environ)
    except BadDefinitions as error:
        return [f"the definitions in the store have mistakes, for example {error.mistakes[0]}"]
    return describe_changes(before, registry) or ["no setting changes, only the text"]
