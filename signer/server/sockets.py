"""The listening sockets: those that systemd holds for us (socket activation), or our own.

What systemd holds outlives us: connections that come while no signer runs wait there, and several workers share it.
sd_listen_fds(3) describes how it hands them over.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from signer.listen_address import ListenAddress

BACKLOG = 4096
"""Connections that the system accepts for us while we are busy; it may have a lower limit (net.core.somaxconn)."""

_SOCKET_MODE = 0o660
_TRIAL_SECONDS = 1.0
_FIRST_PASSED = 3
_ADMIN = "admin"
"""FileDescriptorName= of a socket for the admin routes; one of any other name is for the public ones."""


class CannotListen(Exception):
    """An address is taken or not ours; the text says which."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What systemd handed over; both are empty where it holds nothing for us."""

    public: list[socket.socket]
    admin: list[socket.socket]


@contextlib.contextmanager
def listening(address: ListenAddress) -> Iterator[socket.socket]:
    """Yield a listening socket, closed at the end of the block.

    Raises:
        CannotListen: the address is in use, or is not one of this machine.
    """
    if address.path is not None:
        with _listening_at(address.path) as sock:
            yield sock
        return
    try:
        sock = socket.create_server((address.host, address.port), family=address.family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(f"cannot listen on {address}: {error.strerror}; set server.listen or server.admin") from None
    with sock:
        yield sock


@contextlib.contextmanager
def _listening_at(path: Path) -> Iterator[socket.socket]:
    """For the owner and the group of it; the file is removed in the end, if it is still ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            _remove_left_over(path)
            former_mask = os.umask(0o777 & ~_SOCKET_MODE)
            try:
                sock.bind(str(path))
            finally:
                os.umask(former_mask)
            sock.listen(BACKLOG)
            inode = path.stat().st_ino
        except OSError as error:
            mend = "set server.listen or server.admin"
            raise CannotListen(f"cannot listen on unix:{path}: {error.strerror}; {mend}") from None
        try:
            yield sock
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()


def _remove_left_over(path: Path) -> None:
    """A killed process leaves its socket's file behind. Raises `CannotListen` where somebody answers on it."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CannotListen(f"cannot listen on unix:{path}: something else than a socket is there; remove it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            trial.settimeout(_TRIAL_SECONDS)
            try:
                trial.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)
            else:
                raise CannotListen(f"cannot listen on unix:{path}: another process answers there")


def passed(environ: MutableMapping[str, str] = os.environ) -> Passed:
    """Takes over the sockets that systemd passed to this process, once: the variables that name them are removed."""
    ours = environ.pop("LISTEN_PID", "") == str(os.getpid())
    count, names = environ.pop("LISTEN_FDS", "0"), environ.pop("LISTEN_FDNAMES", "").split(":")
    found = Passed([], [])
    if not ours:
        return found
    for index in range(int(count)):
        os.set_inheritable(_FIRST_PASSED + index, False)
        sock = socket.socket(fileno=_FIRST_PASSED + index)
        is_admin = index < len(names) and names[index] == _ADMIN
        (found.admin if is_admin else found.public).append(sock)
    return found
