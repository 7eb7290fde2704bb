"""The admin listener: with a token where other machines can reach it, on a Unix socket, and never open by mistake."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from signer.listen_address import ListenAddress
from signer.server.sockets import CannotListen, listening_socket
from tests.e2e.revisions import HEAD, app
from tests.harness.signer import LOCAL_ENVIRON, Signer, run_command, signer
from tests.harness.systemd_socket import signer_with_socket

TOKEN = "the-token-of-the-operators"
module_loop = pytest.mark.asyncio(loop_scope="module")


def definitions(admin: str, token: str = "") -> str:
    head = HEAD.replace('admin: "127.0.0.1:0"', f'admin: "{admin}"{token}')
    return f"{head}apps:\n{app(1)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Signer, Path]]:
    """A signer with an admin token, and its definitions; one of its two roles has no token."""
    config = tmp_path_factory.mktemp("guarded") / "signer.yaml"
    text = definitions("127.0.0.1:0", ', admin_token: "${ADMIN_TOKEN}"') + "  b: {credentials: gone}\n"
    gone = 'credentials:\n  gone: {type: ecs_ram_role, endpoint: "http://127.0.0.1:1"}\n'
    config.write_text(text.replace("credentials:\n", gone), encoding="utf-8")
    async with aiohttp.ClientSession() as session, signer(session, config, environ={"ADMIN_TOKEN": TOKEN}) as running:
        yield running, config
        assert TOKEN not in "".join(running.output)


@module_loop
@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}", "Bearer é"]
)
async def test_without_the_token_only_probes_are_allowed(
    guarded: tuple[Signer, Path], authorization: str | None
) -> None:
    running, _ = guarded
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (
        ("GET", "/metrics"), ("GET", "/status"), ("GET", "/status/status.js"), ("GET", "/-/definitions"),
        ("POST", "/-/reload"), ("POST", "/-/refresh"), ("GET", "/nowhere"), ("GET", "/healthz/"),
    ):  # fmt: skip
        async with running.session.request(method, running.admin + path, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (401, "unauthenticated"), path
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
    async with running.session.get(f"{running.admin}/healthz", headers=headers) as response:
        assert (response.status, await response.text()) == (200, "ok\n")
    for query, ready in (("", False), ("?roles=any", True)):
        async with running.session.get(f"{running.admin}/readyz{query}", headers=headers) as response:
            assert (response.status, await response.json()) == (200 if ready else 503, {"ready": ready})


@module_loop
async def test_with_the_token_every_route_is_allowed(guarded: tuple[Signer, Path]) -> None:
    running, _ = guarded
    headers = {"Authorization": f"bearer {TOKEN}"}
    for path in ("/metrics", "/status", "/-/definitions", "/readyz?roles=any"):
        async with running.session.get(running.admin + path, headers=headers) as response:
            text = await response.text()
            assert response.status == 200 and TOKEN not in text
    assert json.loads(text)["unusable_roles"] == ["gone"]


@module_loop
async def test_check_diff_uses_the_token_of_the_definitions_or_of_the_environment(
    guarded: tuple[Signer, Path], tmp_path: Path
) -> None:
    running, config = guarded
    (other := tmp_path / "other.yaml").write_text(config.read_text(encoding="utf-8").replace("1MiB", "2MiB"), "utf-8")

    async def diff(**environ: str) -> tuple[int, str]:
        arguments = ("check", "--config", other, "--diff", running.admin)
        completed = await run_command(*arguments, environ={**LOCAL_ENVIRON, **environ})
        return completed.status, completed.out + completed.err

    status, output = await diff(ADMIN_TOKEN=TOKEN)
    assert status == 0 and "~ apps.a: max_size 1MiB -> 2MiB" in output, output
    status, output = await diff(ADMIN_TOKEN="another-long-token", OSS_SIGNER_ADMIN_TOKEN=TOKEN)
    assert status == 0 and "~ apps.a: max_size 1MiB -> 2MiB" in output, output
    status, output = await diff(ADMIN_TOKEN="another-long-token")
    assert status == 1 and "rejects the admin token; set OSS_SIGNER_ADMIN_TOKEN" in output, output


async def healthy(path: Path, host: str = "localhost") -> bool:
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.get(f"http://{host}/healthz") as response,
        ):
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_a_unix_socket_is_for_its_group_and_is_removed_by_the_signer(tmp_path: Path) -> None:
    path, second = tmp_path / "admin.sock", tmp_path / "admin-2.sock"
    stale_socket = socket.socket(socket.AF_UNIX)
    stale_socket.bind(str(path))
    stale_socket.close()
    (config := tmp_path / "signer.yaml").write_text(definitions(f"unix:{path}"), encoding="utf-8")
    async with aiohttp.ClientSession() as session, signer(session, config) as running:
        assert running.admin == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await healthy(path)
        assert await healthy(path, host="proxy.example")
        for arguments in (["--diff"], ["--diff", running.admin]):
            checked = await run_command("check", "--config", config, *arguments, environ=LOCAL_ENVIRON)
            assert (checked.status, checked.out.splitlines()[0]) == (0, "no changes"), checked.err
        with (
            pytest.raises(CannotListen, match="another process listens there"),
            listening_socket(ListenAddress.parse(running.admin)),
        ):
            pass
        async with signer(session, config, "--worker", 2):
            assert await healthy(second)
        assert not second.exists() and path.exists()
    assert not path.exists()


def test_another_file_at_the_path_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    (path := tmp_path / "admin.sock").write_text("a file of the operator", encoding="utf-8")
    with (
        pytest.raises(CannotListen, match="the file is not a socket"),
        listening_socket(ListenAddress.parse(f"unix:{path}")),
    ):
        pass
    assert path.read_text(encoding="utf-8") == "a file of the operator"


async def test_a_socket_of_systemd_on_all_interfaces_is_rejected_without_a_token(tmp_path: Path) -> None:
    (config := tmp_path / "signer.yaml").write_text(definitions("127.0.0.1:0"), encoding="utf-8")
    with socket.create_server(("0.0.0.0", 0)) as sock:
        async with signer_with_socket(sock, "admin", "--config", config) as process:
            status = await process.wait()
    assert status != 0
    assert "other machines can reach the admin routes on 0.0.0.0; set server.admin_token" in "".join(process.errors)
