"""Validate definitions and write them into a store."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from signer.commands.definition_options import add_environment_options, environment
from signer.commands.mistake_output import print_warnings
from signer.definitions.diff import describe_changes
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.quantities import format_count
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings
from signer.server import event_loop
from signer.stores import bundle
from signer.stores.file import FileStore
from signer.stores.protocol import EMPTY_REVISION, CannotRead, CannotWrite, Snapshot, Store, StoreIsEmpty, WritableStore
from signer.stores.store_factory import open_store

_MAX_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("source", type=Path, metavar="FILE-or-DIR", help="the definitions to write into the store")
    configured = os.environ.get("OSS_SIGNER_CONFIG")
    parser.add_argument(
        "--config",
        default=configured,
        required=configured is None,
        metavar="STORE",
        help="the store to write to: a URL or a file (default: $OSS_SIGNER_CONFIG)",
    )
    add_environment_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="only print what would change")
    parser.add_argument("--yes", action="store_true", help="remove apps from the store without a prompt")
    parser.add_argument(
        "--force", action="store_true", help="overwrite the store even if it changed meanwhile or cannot be read"
    )


def run(options: argparse.Namespace) -> int:
    """Print what changes, and write the definitions if the store still contains what they were compared with.

    Returns 1 if something would be removed without consent.
    """
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
        before = _registry(current, environ)
        print("\n".join(_differences(current, before, registry)))
        if options.dry_run:
            return 0
        removed = _removed(before, registry)
        if removed and not options.yes and not await asyncio.to_thread(_is_confirmed, removed):
            return 1
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


def _registry(current: Snapshot | None, environ: Mapping[str, str]) -> Registry | BadDefinitions | None:
    """Return what the store contains, or the mistakes in it; None if it is empty."""
    if current is None:
        return None
    try:
        return Parser().parse(current.files, environ)
    except BadDefinitions as error:
        return error


def _differences(current: Snapshot | None, before: Registry | BadDefinitions | None, after: Registry) -> list[str]:
    if current is None or before is None:
        return [f"+ everything; apps: {len(after.apps)}"]
    if isinstance(before, BadDefinitions):
        return [f"the definitions in the store have mistakes, for example {before.mistakes[0]}"]
    return describe_changes(before, after) or ["no setting changes, only the text"]


def _removed(before: Registry | BadDefinitions | None, after: Registry) -> list[str]:
    """Return the apps that the store has and the new definitions do not have."""
    return sorted(before.apps.keys() - after.apps.keys()) if isinstance(before, Registry) else []


def _is_confirmed(removed: list[str]) -> bool:
    """Prompt on a terminal whether to remove these apps; without a terminal, return False."""
    shown = f"{', '.join(removed[:_MAX_SHOWN])}{' ...' if len(removed) > _MAX_SHOWN else ''}"
    if not sys.stdin.isatty():
        print(
            f"not pushed: this removes {format_count(len(removed), 'app')} ({shown}); repeat with --yes",
            file=sys.stderr,
        )
        return False
    question = f"This removes {format_count(len(removed), 'app')} ({shown}). Push? [y/N] "
    if input(question).strip().lower() in ("y", "yes"):
        return True
    print("not pushed", file=sys.stderr)
    return False
