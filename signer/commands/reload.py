"""Make a running signer on this machine reload its definitions, and print the result.

This is systemd's ExecReload, so it imports only the standard library and needs no address of the signer: it sends a
signal, and reads the result from a file in the runtime directory. That works while the definitions are broken, too.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from signer.server.reload_record import ReloadRecord

_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--worker", type=int, metavar="N", help="the number of the signer among several on this machine (default: 1)"
    )
    parser.add_argument(
        "--runtime-dir",
        type=Path,
        default=os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or "/run/oss-signer",
        help="the runtime directory of that signer (default: $RUNTIME_DIRECTORY, or /run/oss-signer)",
    )


def run(options: argparse.Namespace) -> int:
    """Send SIGHUP and wait for the result; return 1 when the reload is rejected or no signer responds."""
    path = ReloadRecord.path(options.runtime_dir, options.worker)
    requested_at = time.monotonic()
    try:
        os.kill(ReloadRecord.read(path).pid, signal.SIGHUP)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the file cannot be read"
        return _fail(f"no running signer found in {path}: {reason}; without systemd use kill -HUP or POST /-/reload")
    while time.monotonic() < requested_at + _TIMEOUT_SECONDS:
        record = ReloadRecord.read(path)
        if record.reload_started_at >= requested_at:
            for line in record.lines:
                print(line, file=sys.stdout if record.succeeded else sys.stderr)
            if not record.succeeded:
                return _fail("reload rejected; the signer keeps its current definitions")
            print("reloaded")
            return 0
        time.sleep(_POLL_SECONDS)
    return _fail(f"no response within {_TIMEOUT_SECONDS:g} s")


def _fail(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


def main(arguments: list[str]) -> int:
    """Run this command without the rest of the command line, which takes longer to import than the reload takes."""
    parser = argparse.ArgumentParser(prog="oss-signer reload", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))
