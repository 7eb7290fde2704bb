"""The limit on open files of this process."""

from __future__ import annotations

import contextlib


def raise_open_file_limit() -> None:
    """Raise the soft limit to the hard limit: every connection is an open file, and the usual soft limit is 1,024."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no module resource.
        import resource

        _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
