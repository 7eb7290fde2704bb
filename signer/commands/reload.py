"""The command `reload`: has a signer of this machine take its definitions over now, and says how that ended.

It is systemd's ExecReload, so it loads nothing but the standard library, and it needs no address of the signer: a
signal asks, and a file in the runtime directory answers. That holds while the definitions are broken, too.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from signer.server.reload_record import Record

_TIMEOUT_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--worker", type=int, metavar="N", help="which of several signers of this machine (default: 1)")
    parser.add_argument(
        "--runtime-dir",
        type=Path,
        default=os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or "/run/oss-signer",
        help="where that signer leaves word (default: $RUNTIME_DIRECTORY, or /run/oss-signer)",
    )


def run(options: argparse.Namespace) -> int:
    """Status 1 when the reload is refused, or nobody answers."""
    path = Record.path(options.runtime_dir, options.worker)
    asked = time.monotonic()
    try:
        os.kill(Record.read(path).pid, signal.SIGHUP)
    except (OSError, ValueError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it cannot be read"
        return _refused(f"no signer can be asked by {path}: {why}; without systemd: kill -HUP, or POST /-/reload")
    while time.monotonic() < asked + _TIMEOUT_SECONDS:
        record = Record.read(path)
        if record.began >= asked:
            for line in record.told:
                print(line, file=sys.stdout if record.succeeded else sys.stderr)
            if not record.succeeded:
                return _refused("reload refused; the definitions in force go on")
            print("reloaded")  # noqa: T201
            return 0
        time.sleep(_LOOK_AGAIN_SECONDS)
    return _refused(f"no answer within {_TIMEOUT_SECONDS:g} s")


def _refused(why: str) -> int:
    print(why, file=sys.stderr)  # noqa: T201
    return 1


def main(arguments: list[str]) -> int:
    """Without the rest of the command line, which takes longer to load than the reload takes."""
    parser = argparse.ArgumentParser(prog="oss-signer reload", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(arguments))
