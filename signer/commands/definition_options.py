"""The options that name definitions and what these may use, and how they are loaded."""

import argparse
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from signer.definitions.registry import Registry
from signer.environment import Allowed, Environment
from signer.live.definition_source import DefinitionSource
from signer.live.last_good import last_good_file
from signer.stores.store_factory import is_remote, open_store

DEFAULT_CONFIG = "config"
_ALLOW_OPTIONS = (
    ("env", "NAME", "a variable, or a pattern like 'WX_*', that a remote store may refer to"),
    ("files", "DIR", "a directory whose files a remote store may refer to, in addition to $CREDENTIALS_DIRECTORY"),
    ("hosts", "HOST", "a host, or a pattern, that a remote store may send secrets of this machine to"),
)


def add_definition_options(parser: argparse.ArgumentParser) -> None:
    """Add the definitions as argument and as `--config`, and what they may use."""
    summary = "the definitions: a file, a directory or the URL of a store"
    # argparse prints no default by itself: a store URL may contain a password.
    default = os.environ.get("OSS_SIGNER_CONFIG", DEFAULT_CONFIG)
    once = parser.add_mutually_exclusive_group()
    once.add_argument("--config", default=default, help=f"{summary} (default: $OSS_SIGNER_CONFIG, or config)")
    once.add_argument("config", nargs="?", default=argparse.SUPPRESS, metavar="CONFIG", help="the same as --config")
    add_environment_options(parser)


def add_environment_options(parser: argparse.ArgumentParser) -> None:
    """Add `--env-file`, `--allow-env`, `--allow-files` and `--allow-hosts`."""
    parser.add_argument(
        "--env-file",
        type=Path,
        default=os.environ.get("OSS_SIGNER_ENV_FILE") or None,
        help="a file of NAME=value lines for ${NAME} in the definitions; it is read again for each credential fetch "
        "(default: $OSS_SIGNER_ENV_FILE)",
    )
    for what, metavar, summary in _ALLOW_OPTIONS:
        variable = f"OSS_SIGNER_ALLOW_{what.upper()}"
        parser.add_argument(
            f"--allow-{what}",
            action="append",
            metavar=metavar,
            default=os.environ.get(variable, "").split(),
            help=f"{summary}; repeatable (default: those in ${variable}, separated by spaces)",
        )


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """Add `--workers` to a command."""
    parser.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        default=os.environ.get("OSS_SIGNER_WORKERS", "1"),
        help="the number of signers on this machine, which share server.credential_fetch_rate "
        "(default: $OSS_SIGNER_WORKERS, or 1)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of signers; write 1 or more")
    return int(text)


def environment(options: argparse.Namespace) -> Environment:
    """Return the environment that `${...}` in the definitions refers to; a remote store may use what is allowed."""
    directories = tuple(map(Path, options.allow_files))
    allowed = Allowed(tuple(options.allow_env), directories, tuple(options.allow_hosts))
    return Environment(os.environ, options.env_file, allowed if is_remote(options.config) else None)


@contextlib.asynccontextmanager
async def open_definitions(
    options: argparse.Namespace, state_directory: Path | None = None
) -> AsyncIterator[DefinitionSource]:
    """Open the store of `--config` during the block; a state directory keeps the last good copy of a remote store."""
    store = open_store(options.config)
    try:
        yield DefinitionSource(store, environment(options), last_good=last_good_file(store, state_directory))
    finally:
        await store.close()


async def load_registry(options: argparse.Namespace) -> Registry:
    """Return what the store of `--config` contains, validated."""
    async with open_definitions(options) as definitions:
        return await definitions.parse((await definitions.load()).files)
