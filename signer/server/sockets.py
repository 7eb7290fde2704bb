"""The listening sockets: those that systemd passes (socket activation), or new ones.

systemd's sockets outlive the signer: connections wait in them while no signer runs, and several workers share them.

See: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

import contextlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from ipaddress import ip_address
from pathlib import Path

from signer.listen_address import ListenAddress

BACKLOG = 4096
"""How many connections the system accepts while the process is busy; net.core.somaxconn may limit it further."""
_SOCKET_MODE = 0o660
_PROBE_SECONDS = 1.0
_FIRST_INHERITED_DESCRIPTOR = 3
_ADMIN_NAME = "admin"
"""FileDescriptorName= of a socket for the admin routes; a socket of any other name is for the public ones."""


_TCP_INFO_UNACKED = struct.Struct("24xI")
"""`tcpi_unacked` in `struct tcp_info`: of a listening socket, the length of its queue."""


class CannotListen(Exception):
    """An address cannot be served; the text gives the reason and the fix."""


@contextlib.contextmanager
def listening_socket(
    address: ListenAddress, *, key: str = "server.listen or server.admin", is_shared: bool = False
) -> Iterator[socket.socket]:
    """Yield a listening socket, closed at the end of the block; raise CannotListen where that is impossible.

    Args:
        key: the key of the definitions to change if the address cannot be used.
        is_shared: whether other workers of this machine listen on the same port, and the kernel chooses one of them.
    """
    if address.path is not None:
        with _unix_socket(address.path, key) as sock:
            yield sock
        return
    options = {"reuse_port": True} if is_shared and hasattr(socket, "SO_REUSEPORT") else {}
    try:
        sock = socket.create_server((address.host, address.port), family=address.family, backlog=BACKLOG, **options)
    except OSError as error:
        # `create_server` appends the address to the text of its own errors.
        reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        raise CannotListen(f"cannot listen on {address}: {reason}; set {key}") from None
    with sock:
        yield sock


@contextlib.contextmanager
def _unix_socket(path: Path, key: str) -> Iterator[socket.socket]:
    """Yield a socket that its user and group can connect to; its file is removed at the end of the block."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            _remove_stale_socket(path)
            previous_mask = os.umask(0o777 & ~_SOCKET_MODE)
            try:
                sock.bind(str(path))
            finally:
                os.umask(previous_mask)
            sock.listen(BACKLOG)
            inode = path.stat().st_ino
        except OSError as error:
            reason = f"{error.strerror}; set {key}"
            raise CannotListen(f"cannot listen on unix:{path}: {reason}") from None
        try:
            yield sock
        finally:
            # Another process may have replaced the file meanwhile.
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()


def _remove_stale_socket(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CannotListen(f"cannot listen on unix:{path}: the file is not a socket; remove it")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_SECONDS)
            try:
                probe.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)
            else:
                raise CannotListen(f"cannot listen on unix:{path}: another process listens there; stop it")


def inherit_sockets(environ: MutableMapping[str, str] = os.environ) -> tuple[list[socket.socket], list[socket.socket]]:
    """Return the public and the admin sockets that systemd passed, and remove the variables that describe them."""
    is_for_this_process = environ.pop("LISTEN_PID", "") == str(os.getpid())
    count, names = environ.pop("LISTEN_FDS", "0"), environ.pop("LISTEN_FDNAMES", "").split(":")
    public: list[socket.socket] = []
    admin: list[socket.socket] = []
    for index in range(int(count) if is_for_this_process else 0):
        descriptor = _FIRST_INHERITED_DESCRIPTOR + index
        os.set_inheritable(descriptor, False)
        is_admin = index < len(names) and names[index] == _ADMIN_NAME
        (admin if is_admin else public).append(socket.socket(fileno=descriptor))
    return public, admin


def waiting_connections(sock: socket.socket) -> int:
    """Return how many connections wait to be accepted; 0 if the socket is closed or the system does not report it.

    See: https://github.com/torvalds/linux/blob/v5.10/net/ipv4/tcp.c (tcp_get_info)
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not sys.platform.startswith("linux"):
        return 0
    try:
        information = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED.size)
    except OSError:
        return 0
    return int(_TCP_INFO_UNACKED.unpack(information)[0])


def require_local(sockets: Iterable[socket.socket]) -> None:
    """Raise CannotListen if other machines can connect to the admin routes, for a server without a token."""
    for sock in sockets:
        host = "" if sock.family == socket.AF_UNIX else sock.getsockname()[0]
        if host and not ip_address(host.partition("%")[0]).is_loopback:
            fix = "set server.admin_token, or set server.admin to an address of 127.0.0.1 or a unix socket"
            raise CannotListen(f"other machines can reach the admin routes on {host}; {fix}")
