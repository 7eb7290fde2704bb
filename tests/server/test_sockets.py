"""The listening sockets: TCP, unix, and those from systemd."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from signer.listen_address import ListenAddress
from signer.server.sockets import CannotListen, inherit_sockets, listening_socket, require_local
from tests.harness.processes import run

LOCAL = ListenAddress.parse("127.0.0.1:0")


def listen(address: ListenAddress) -> None:
    """Open the address and close it again."""
    with listening_socket(address):
        pass


def test_a_tcp_socket_accepts_connections() -> None:
    with listening_socket(LOCAL) as sock, socket.create_connection(sock.getsockname()):
        assert sock.getsockname()[1] > 0


def test_an_address_in_use_is_an_error_with_a_fix() -> None:
    with listening_socket(LOCAL) as sock:
        address = ListenAddress.parse(f"127.0.0.1:{sock.getsockname()[1]}")
        with pytest.raises(CannotListen, match=r"Address already in use; set server\.listen or server\.admin"):
            listen(address)


def test_a_unix_socket_is_for_its_user_and_group_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with listening_socket(ListenAddress(path=path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


def test_the_socket_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with listening_socket(ListenAddress(path=path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_the_socket_of_a_running_process_is_an_error(tmp_path: Path) -> None:
    address = ListenAddress(path=tmp_path / "admin.sock")
    with listening_socket(address), pytest.raises(CannotListen, match="another process listens there"):
        listen(address)


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    (path := tmp_path / "admin.sock").write_text("other", encoding="utf-8")
    with pytest.raises(CannotListen, match="the file is not a socket; remove it"):
        listen(ListenAddress(path=path))
    assert path.read_text(encoding="utf-8") == "other"


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="No such file or directory"):
        listen(ListenAddress(path=tmp_path / "none/admin.sock"))


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as successor:
        with listening_socket(ListenAddress(path=path)):
            path.unlink()
            successor.bind(str(path))
        assert path.is_socket()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_loopback_needs_no_token(address: str) -> None:
    with listening_socket(ListenAddress.parse(address)) as sock:
        require_local([sock])


def test_a_unix_socket_needs_no_token(tmp_path: Path) -> None:
    with listening_socket(ListenAddress(path=tmp_path / "admin.sock")) as sock:
        require_local([sock])


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_other_machines_need_a_token(address: str) -> None:
    with (
        listening_socket(ListenAddress.parse(address)) as sock,
        pytest.raises(CannotListen, match=r"set server\.admin_token"),
    ):
        require_local([sock])


@pytest.mark.parametrize("listen_pid", ["", "1"])
def test_sockets_for_another_process_are_ignored(listen_pid: str) -> None:
    environ = {"LISTEN_PID": listen_pid, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "public", "OTHER": "stays"}
    assert inherit_sockets(environ) == ([], [])
    assert environ == {"OTHER": "stays"}


async def test_sockets_from_systemd_are_assigned_by_name() -> None:
    """systemd passes them from descriptor 3 on."""
    code = (
        "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid())\n"
        "for number, given in enumerate(map(int, sys.argv[1:]), 13): os.dup2(given, number)\n"
        "for number in range(3): os.dup2(13 + number, 3 + number)\n"
        "from signer.server.sockets import inherit_sockets; public, admin = inherit_sockets()\n"
        "print(*[each.getsockname()[1] for each in public]); print(*[each.getsockname()[1] for each in admin])"
        "; print([each.get_inheritable() for each in public + admin])"
    )
    environ = {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "public:admin:public"}
    with listening_socket(LOCAL) as first, listening_socket(LOCAL) as second, listening_socket(LOCAL) as third:
        sockets = (first, second, third)
        descriptors = [sock.fileno() for sock in sockets]
        completed = await run(sys.executable, "-c", code, *descriptors, environ=environ, pass_fds=descriptors)
        ports = [str(sock.getsockname()[1]) for sock in sockets]
    assert completed.out.splitlines() == [f"{ports[0]} {ports[2]}", ports[1], "[False, False, False]"], completed.err
    assert os.environ.get("LISTEN_FDS") is None
