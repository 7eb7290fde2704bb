"""Causes reloads and refreshes of credentials in a signer, more of them than production has."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from bench.definitions import edit
from bench.errors import CannotMeasure
from bench.http_client import call
from bench.processes import Cloud, Signer

EDIT_EVERY_SECONDS = 3.0
TOKEN_SECONDS = 10.0
"""The forms of the busy definitions last 6 s, so such a token is refreshed after 2 to 4 s."""


@contextlib.contextmanager
def background_work(cloud: Cloud, signer: Signer, files: list[Path]) -> Iterator[None]:
    """Edit and reload a file every three seconds inside the block, while STS issues tokens that expire soon.

    Raises:
        CannotMeasure: A reload failed.
    """
    cloud.set_faults(sts=[{"kind": "nearly_expired", "seconds": TOKEN_SECONDS}])
    # With another session name the roles are new ones, so the tokens of the former are not used any more.
    edit(files[0].with_name("main.yaml"), r"session_name: run-\d+", f"session_name: run-{time.monotonic_ns()}")
    call(f"{signer.admin}/-/reload", method="POST")
    is_done = threading.Event()
    failures: list[Exception] = []

    def edit_files() -> None:
        try:
            for number in count():
                if is_done.wait(EDIT_EVERY_SECONDS / 2):
                    return
                edit(files[number % len(files)], r"max_size: \d+MiB", f"max_size: {number % 2 + 9}MiB")
                call(f"{signer.admin}/-/reload", method="POST")
                if is_done.wait(EDIT_EVERY_SECONDS / 2):
                    return
        except (OSError, CannotMeasure) as error:
            failures.append(error)

    thread = threading.Thread(target=edit_files)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
        cloud.set_faults()
    if failures:
        raise CannotMeasure(f"a reload failed: {failures[0]}")
