"""systemd installs the signer and runs two workers on one socket: reloads, restarts, an upgrade, crashes, the end.

Under constant load, only requests that a killed worker was processing fail.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.ports import reserve_port
from tests.systemd.documented_commands import check_as_service
from tests.systemd.load import Load, load
from tests.systemd.machine import PROJECT, Machine, machine, python_below_a_home, require_systemd

WORKERS = ("oss-signer@1.service", "oss-signer@2.service")


@dataclass(frozen=True, slots=True)
class Site:
    machine: Machine
    port: int
    cloud: Cloud

    def definitions(self, apps: int = 10, *, admin: str = "unix:/run/oss-signer/admin.sock") -> str:
        entries = "".join(f"  app-{number}: {{key_prefix: app-{number}/}}\n" for number in range(apps))
        return (
            "version: 1\n"
            f"server: {{listen: '127.0.0.1:{self.port}', admin: '{admin}', callback_queue: /var/lib/oss-signer/q.db}}\n"
            "audit: /var/log/oss-signer/audit.log\n"
            "credentials:\n"
            f"  machine: {{type: ecs_ram_role, endpoint: '{self.cloud.metadata}'}}\n"
            "  partner: {type: assume_role, role_arn: 'acs:ram::1234567890123456:role/oss-upload',\n"
            f"    endpoint: '{self.cloud.sts}', access_key_id: '${{OSS_ACCESS_KEY_ID}}',\n"
            "    access_key_secret: '${file:$CREDENTIALS_DIRECTORY/ak-secret}'}\n"
            "defaults: {region: cn-hangzhou, key_prefix: '', bucket: photos-prod, credentials: machine}\n"
            f"apps:\n{entries}  partner-app: {{key_prefix: partner/, credentials: partner}}\n"
        )

    async def define(self, apps: int) -> None:
        await self.machine.write("/etc/oss-signer/signer.yaml", self.definitions(apps))

    async def main_pid(self, unit: str) -> int:
        return int(await self.machine.property(unit, "MainPID"))

    async def freeze(self, unit: str, then: str = "") -> set[int]:
        """Stop a worker with SIGSTOP, and return the ports of the clients that are connected to it."""
        pid = await self.main_pid(unit)
        script = f"kill -STOP {pid}; ls -l /proc/{pid}/fd; cat /proc/net/tcp; {then.format(pid=pid)}"
        listing = await self.machine.run("sh", "-c", script)
        inodes = set(re.findall(r"socket:\[(\d+)\]", listing))
        entries = re.findall(r"^ *\d+: \w+:(\w+) \w+:(\w+) (?:\S+ +){6}(\d+) ", listing, re.MULTILINE)
        return {int(client, 16) for ours, client, inode in entries if inode in inodes and int(ours, 16) == self.port}


pytestmark = pytest.mark.slow


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Install, configure by docs/deploying.md, and start the service."""
    require_systemd()
    port = reserve_port()
    async with aiohttp.ClientSession() as session, local_cloud(session) as cloud, machine(tmp_path) as booted:
        made = Site(booted, port, cloud)
        assert "systemctl enable --now oss-signer.target" in await booted.install("WORKERS=2")
        await made.define(10)
        await booted.write("/etc/oss-signer/environment", "OSS_ACCESS_KEY_ID=LTAI-local\n")
        await booted.write("/etc/oss-signer/credentials/ak-secret", "local-secret\n")
        await booted.run("chmod", "-R", "go=", "/etc/oss-signer/credentials", "/etc/oss-signer/environment")
        await booted.write(
            "/etc/systemd/system/oss-signer@.service.d/override.conf",
            "[Service]\nLoadCredential=ak-secret:/etc/oss-signer/credentials/ak-secret\nWatchdogSec=10\n"
            + python_below_a_home(),
        )
        await booted.write(
            "/etc/systemd/system/oss-signer.socket.d/override.conf",
            f"[Socket]\nListenStream=\nListenStream=127.0.0.1:{port}\n",
        )
        await booted.run("systemctl", "daemon-reload")
        output = await booted.run(
            "systemd-analyze", "verify", "--man=no", "oss-signer.target", "oss-signer.service", *WORKERS
        )
        assert [line for line in output.splitlines() if "oss-signer" in line] == []
        try:
            await booted.run("systemctl", "enable", "--now", "oss-signer.target")
            for worker in WORKERS:
                # The target does not wait for its services.
                await booted.wait_for_property(worker, "ActiveState", "^active$")
        except (AssertionError, TimeoutError):
            print(await booted.run("journalctl", "--no-pager"))
            raise
        yield made


def print_figures(step: str, running: Load, started: float) -> None:
    seconds = time.monotonic() - started
    print(
        f"{step}: {running.responses} responses in {seconds:.1f} s, {len(running.failures)} failed, slowest "
        f"{running.slowest_seconds * 1000:.0f} ms, {running.closes_announced} connections closed by the signer"
    )


async def test_a_service_from_installation_to_removal(site: Site) -> None:
    machine = site.machine
    for number, worker in enumerate(WORKERS, 1):
        status = await machine.property(worker, "StatusText")
        assert re.fullmatch(rf"worker {number}: 11 apps, 2 of 2 roles usable, definitions of [-0-9: ]+ UTC", status)
    async with load(site.port, "/generate_signature?app_id=partner-app") as running:
        await running.wait_for_more(100)
        print_figures("running", running, time.monotonic())
        assert running.failures == []
        for step in (
            *(_as_service, _refresh, _reload, _refused_reload),
            *(_rolling_restart, _upgrade, _hard_kill, _blocked_loop, _stop_and_start),
        ):
            running.reset()
            started = time.monotonic()
            await step(site, running)
            await running.wait_for_more(60)
            print_figures(step.__name__.strip("_").replace("_", " "), running, started)
        for worker in WORKERS:
            await machine.wait_for_property(worker, "ActiveState", "^active$")
    await _end(site)


async def _as_service(site: Site, running: Load) -> None:
    await check_as_service(site.machine, site.cloud.oss)
    assert running.failures == []


async def _refresh(site: Site, running: Load) -> None:
    """Replace the token of a role in each worker; requests wait meanwhile."""
    output = await site.machine.run("/opt/oss-signer/bin/oss-signer", "refresh", "partner")
    sockets = ("unix:/run/oss-signer/admin.sock", "unix:/run/oss-signer/admin-2.sock")
    assert [line.partition(", ")[0] for line in output.splitlines()] == [
        f"{socket}  partner: new token" for socket in sockets
    ]
    assert running.failures == []


async def _reload(site: Site, running: Load) -> None:
    await site.define(12)
    await site.machine.run("systemctl", "reload", *WORKERS)
    for number, worker in enumerate(WORKERS, 1):
        assert (await site.machine.property(worker, "StatusText")).startswith(f"worker {number}: 13 apps")
        lines = [json.loads(line) for line in (await site.machine.journal(worker)).splitlines() if line[:1] == "{"]
        [reloaded] = [
            line for line in lines if line["message"] == "definitions reloaded" and line["trigger"] == "SIGHUP"
        ]
        assert reloaded["worker"] == number
    assert running.failures == []


async def _refused_reload(site: Site, running: Load) -> None:
    await site.machine.write("/etc/oss-signer/signer.yaml", site.definitions(12) + "  wrong: {bukcet: b}\n")
    await site.machine.run("systemctl", "reload", WORKERS[0], succeeds=False)
    assert "RELOAD REJECTED" in await site.machine.property(WORKERS[0], "StatusText")
    assert "did you mean bucket?" in await site.machine.journal(WORKERS[0])
    assert await site.machine.property(WORKERS[0], "ActiveState") == "active"
    await site.define(12)
    await site.machine.run("systemctl", "reload", *WORKERS)
    assert running.failures == []


async def _rolling_restart(site: Site, running: Load) -> None:
    before = [await site.main_pid(worker) for worker in WORKERS]
    await site.machine.run("/opt/oss-signer/bin/rolling-restart")
    for worker, former in zip(WORKERS, before, strict=True):
        assert await site.main_pid(worker) != former
        journal = await site.machine.journal(worker)
        assert '"message": "stopping"' in journal
        assert '"reason": "SIGTERM"' in journal
    assert running.closes_announced > 0
    assert running.failures == []


async def _upgrade(site: Site, running: Load) -> None:
    """Install another release while the signer runs; an edited configuration is kept."""
    release = await site.machine.run("readlink", "/opt/oss-signer/current")
    source = "/tmp/newer"
    needed = (
        f"{PROJECT}/{name}"
        for name in (
            "signer",
            "localcloud",
            "systemd",
            "config",
            "Makefile",
            "requirements.txt",
            "requirements.lock",
            "pyproject.toml",
            "README.md",
            "LICENSE",
        )
    )
    await site.machine.run("mkdir", source)
    await site.machine.run("cp", "-r", *needed, source)
    await site.machine.run("sed", "-i", 's/^__version__ = .*/__version__ = "9.9.9"/', f"{source}/signer/__init__.py")
    await site.machine.run("sed", "-i", "s/name: Example/name: Another example/", f"{source}/systemd/signer.yaml")
    output = await site.machine.install("WORKERS=2", source=source)
    assert "to switch, run /opt/oss-signer/bin/rolling-restart" in output
    assert "signer.yaml is unchanged" in output
    assert "Another example" in await site.machine.run("cat", "/etc/oss-signer/signer.yaml.new")
    assert "partner-app" in await site.machine.run("cat", "/etc/oss-signer/signer.yaml")
    assert await site.machine.run("readlink", "/opt/oss-signer/current") != release
    await site.machine.run("/opt/oss-signer/bin/rolling-restart")
    assert "9.9.9" in await site.machine.run("/opt/oss-signer/bin/oss-signer", "--version")
    assert running.failures == []


async def _hard_kill(site: Site, running: Load) -> None:
    former = await site.main_pid(WORKERS[0])
    connected = await site.freeze(WORKERS[0], "kill -KILL {pid}")
    await site.machine.wait_for_property(WORKERS[0], "NRestarts", "^1$")
    await site.machine.wait_for_property(WORKERS[0], "StatusText", "roles usable")
    assert await site.main_pid(WORKERS[0]) != former
    assert "status=9/KILL" in await site.machine.journal(WORKERS[0])
    _assert_only_pending_requests_failed(running, connected)


async def _blocked_loop(site: Site, running: Load) -> None:
    """A stopped process has a blocked event loop."""
    connected = await site.freeze(WORKERS[1])
    await site.machine.wait_for_property(WORKERS[1], "NRestarts", "^1$")
    await site.machine.wait_for_property(WORKERS[1], "StatusText", "roles usable")
    journal = await site.machine.journal(WORKERS[1])
    assert "Watchdog timeout (limit 10s)!" in journal
    assert "Fatal Python error: Aborted" in journal, "no traceback of the blocked loop"
    _assert_only_pending_requests_failed(running, connected)


def _assert_only_pending_requests_failed(running: Load, connected: set[int]) -> None:
    """Only connections to the killed worker failed, each with one request at most."""
    ports = [failure.client_port for failure in running.failures]
    assert len(set(ports)) == len(ports), running.failures
    assert set(ports) <= connected, running.failures


async def _stop_and_start(site: Site, running: Load) -> None:
    """systemd holds the socket, so connections wait; the first one starts a worker, maybe before the stop has ended."""
    before = [await site.main_pid(worker) for worker in WORKERS]
    await site.machine.run("sh", "-c", 'systemctl stop "$@" || true', "-", *WORKERS)
    await site.machine.wait_for_property(WORKERS[0], "ActiveState", "^active$")
    assert await site.machine.property("oss-signer.service", "ActiveState") == "inactive"
    await site.machine.run("systemctl", "start", *WORKERS)
    for worker, former in zip(WORKERS, before, strict=True):
        assert await site.main_pid(worker) not in (0, former)
    assert running.failures == []


async def _end(site: Site) -> None:
    """Everything stops with the target, and the files stay."""
    machine = site.machine
    await machine.run("systemctl", "stop", "oss-signer.target")
    for unit in (*WORKERS, "oss-signer.socket"):
        await machine.wait_for_property(unit, "ActiveState", "^inactive$")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", site.port)).close()
    audit = (await machine.run("cat", "/var/log/oss-signer/audit.log")).splitlines()
    assert {json.loads(line)["app"] for line in audit} == {"partner-app"}
    await machine.run("make", "-C", PROJECT, "uninstall")
    assert await machine.run("find", "/opt", "/usr/local/lib/systemd/system", "-type", "f") == ""
    for gone in ("/opt/oss-signer", "/etc/logrotate.d/oss-signer", "/etc/sysctl.d/60-oss-signer.conf"):
        await machine.run("test", "!", "-e", gone)
    assert "partner-app" in await machine.run("cat", "/etc/oss-signer/signer.yaml")
