"""Settings of the process for a server: open files, crashes, and how long a thread may keep the interpreter."""

import contextlib
import faulthandler
import os
import sys

_SWITCH_SECONDS = 0.0005
_STDERR = 2
_MAX_RESERVED_FILES = 4096
_UNLIMITED_OPEN_FILES = 2**20


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


def enable_crash_traceback() -> None:
    """Write a traceback to stderr when a signal such as SIGABRT kills the process.

    systemd's watchdog sends SIGABRT; the traceback then shows where the event loop hangs.
    """
    # A crash must not wait for a reader that has stopped. Only this opening of the pipe or terminal is non-blocking.
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(f"/dev/fd/{_STDERR}", flags)
    except OSError:  # A socket, or a pipe of another user.
        descriptor = _STDERR
    faulthandler.enable(descriptor)


def max_connections() -> tuple[int, int]:
    """Return how many connections the public and the admin address may have.

    A quarter of the open files, at most 4,096, is reserved: for the admin address, for requests to other services, and
    for files. The admin address gets a quarter of the reserve.
    """
    max_open_files = _UNLIMITED_OPEN_FILES
    with contextlib.suppress(ImportError, OSError):  # Windows has no module resource.
        import resource

        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft_limit != resource.RLIM_INFINITY:
            max_open_files = soft_limit
    reserve = min(max_open_files // 4, _MAX_RESERVED_FILES)
    return max_open_files - reserve, reserve // 4
