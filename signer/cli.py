"""The command line of `oss-signer`: one parser over the modules of signer/commands."""

import argparse
import os
import sys
from collections.abc import Sequence

import signer
from signer.commands import (
    check,
    completion,
    demo,
    doctor,
    domains,
    events,
    policies,
    pull,
    push,
    refresh,
    reload,
    schema,
    serve,
    sign,
)
from signer.commands.mistake_output import print_mistakes
from signer.definitions.mistakes import BadDefinitions
from signer.delivery.queue import CannotOpenQueue
from signer.demo.example import CannotWriteExample
from signer.demo.local_cloud import CannotStart
from signer.environment import CannotReadEnvironment
from signer.live.admin_client import CannotCallSigner
from signer.server.sockets import CannotListen
from signer.stores.protocol import CannotRead, CannotWrite

_COMMANDS = (
    serve,
    check,
    sign,
    reload,
    refresh,
    push,
    pull,
    domains,
    policies,
    events,
    schema,
    doctor,
    demo,
    completion,
)
_EXPLAINED = (
    CannotWriteExample,
    CannotCallSigner,
    CannotListen,
    CannotOpenQueue,
    CannotRead,
    CannotReadEnvironment,
    CannotStart,
    CannotWrite,
)
"""Their texts contain what is wrong and how to fix it."""
_FAILED = 1
_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command, and return its exit status; argparse exits with 2 for unknown arguments."""
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:  # with the usage of the command: argparse would print that of oss-signer
        options.command_parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BadDefinitions as error:
        print_mistakes(error)
        return _FAILED
    except _EXPLAINED as error:
        print(error, file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has read enough. At its end, Python would write the rest once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oss-signer", description=signer.__doc__)
    parser.add_argument("--version", action="version", version=f"oss-signer {signer.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        name, summary = command.__name__.rpartition(".")[2], (command.__doc__ or "").partition("\n")[0]
        subparser = subparsers.add_parser(name, help=summary.rstrip("."), description=summary)
        subparser.set_defaults(run=command.run, parser=parser, command_parser=subparser)
        command.add_arguments(subparser)
    return parser
