"""The options `--config` and `--env-file`, and how the definitions that they name are loaded."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from signer.definitions.registry import Registry
from signer.environment import Environment
from signer.live.definition_source import DefinitionSource
from signer.live.last_good import last_good_file
from signer.stores.store_factory import open_store


def add_definition_options(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--env-file` to a command."""
    parser.add_argument(
        "--config",
        # argparse prints no default by itself: a store URL may contain a password.
        default=os.environ.get("OSS_SIGNER_CONFIG", "config"),
        help="a file, a directory or the URL of a store (default: $OSS_SIGNER_CONFIG, or config)",
    )
    parser.add_argument(
        "--env-file",
        type=Path,
        default=os.environ.get("OSS_SIGNER_ENV_FILE") or None,
        help="a file of NAME=value lines for ${NAME} in the definitions; it is read again for each credential fetch "
        "(default: $OSS_SIGNER_ENV_FILE)",
    )


def environment(options: argparse.Namespace) -> Environment:
    """Return the environment that `${...}` in the definitions refers to."""
    return Environment(os.environ, options.env_file)


@contextlib.asynccontextmanager
async def open_definitions(
    options: argparse.Namespace, state_directory: Path | None = None
) -> AsyncIterator[DefinitionSource]:
    """Open the store of `--config`, and close it at the end of the block.

    Args:
        state_directory: where the last good copy of a remote store is kept; None keeps no copy.

    Raises:
        CannotRead: the address names no store.
    """
    store = open_store(options.config)
    try:
        yield DefinitionSource(store, environment(options), last_good=last_good_file(store, state_directory))
    finally:
        await store.close()


async def load_registry(options: argparse.Namespace) -> Registry:
    """Return what the store of `--config` contains, validated.

    Raises:
        BadDefinitions: the definitions have mistakes.
        CannotRead: the store gave nothing.
        CannotReadEnvironment: `--env-file` cannot be read.
    """
    async with open_definitions(options) as definitions:
        return await definitions.parse((await definitions.load()).files)
