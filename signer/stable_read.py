"""Reads a set of files as they were at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_ATTEMPTS = 20
_RETRY_SECONDS = 0.05

T = TypeVar("T")


class FilesKeepChanging(Exception):
    """The files changed during each attempt to read them."""


def read_stable(read: Callable[[], T], fingerprint: Callable[[], object]) -> T:
    """Call `read` until `fingerprint` returns the same value before and after it; blocks.

    Without this, a read could mix files of two versions, for example while Kubernetes swaps the link of a ConfigMap.
    An exception of `read` counts only if the files did not change meanwhile.

    Raises:
        FilesKeepChanging: the files changed during every attempt.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_RETRY_SECONDS)
        before = fingerprint()
        try:
            result = read()
        except Exception:
            if fingerprint() == before:
                raise
        else:
            if fingerprint() == before:
                return result
    raise FilesKeepChanging
