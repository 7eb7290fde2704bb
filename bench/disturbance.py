"""What goes on in a signer that is in use, and more of it than there usually is: reloads and fetches of credentials."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from bench.processes import CannotMeasure, Cloud, Signer, call

EDIT_EVERY_SECONDS = 3.0
TOKEN_SECONDS = 10.0
"""The busy definitions' forms last 6 s: such tokens are fetched anew after 2 to 4 s."""


@contextlib.contextmanager
def disturbed(cloud: Cloud, signer: Signer, files: list[Path]) -> Iterator[None]:
    """Edits a file every three seconds, each put in force at once, while STS gives tokens that end soon.

    Raises `CannotMeasure` when an edit was not taken over.
    """
    cloud.set_faults(sts=[{"kind": "nearly_expired", "seconds": TOKEN_SECONDS}])
    # Another session name makes other roles of them, so that the tokens they have do not serve any more.
    _edit(files[0].with_name("main.yaml"), "session_name: run-", f"session_name: run-{time.monotonic_ns()}}}")
    call(f"{signer.admin}/-/reload", method="POST")
    over = threading.Event()
    failures: list[Exception] = []

    def edit() -> None:
        try:
            for number in count():
                if over.wait(EDIT_EVERY_SECONDS / 2):
                    return
                _edit(files[number % len(files)], "max_size: ", f"max_size: {number % 2 + 9}MiB")
                call(f"{signer.admin}/-/reload", method="POST")
                if over.wait(EDIT_EVERY_SECONDS / 2):
                    return
        except (OSError, CannotMeasure) as error:
            failures.append(error)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        cloud.set_faults()
    if failures:
        raise CannotMeasure(f"a reload failed: {failures[0]}")


def _edit(file: Path, begins: str, text: str) -> None:
    """Puts `text` where that begins which ends the line; as editors do, a new file takes the place of the old one."""
    lines = file.read_text(encoding="utf-8").splitlines()
    temporary = file.with_suffix(".new")
    written = [line.partition(begins)[0] + text if begins in line else line for line in lines]
    temporary.write_text("\n".join(written) + "\n", encoding="utf-8")
    temporary.replace(file)
