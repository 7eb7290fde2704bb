"""Settings of the process for a server: open files, and how long a thread may keep the interpreter."""

import contextlib
import sys

_SWITCH_SECONDS = 0.0005


def tune_interpreter() -> None:
    """Shorten the time for which a thread may keep the interpreter while another thread waits for it.

    The event loop releases the interpreter at each system call. While a thread parses definitions, Python's default of
    5 ms would delay each request by 15 to 40 ms.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def raise_open_file_limit() -> None:
    """Raise the soft limit to the hard limit: every connection is an open file, and the usual soft limit is 1,024."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no module resource.
        import resource

        _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
