"""A signer for 50 apps on 20 roles, everything that it uses, and the definitions that disturbances edit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.callbacks.callback_signer import BODY
from tests.faults.soak.app_server import AppServer
from tests.faults.soak.audit_log import AuditLog
from tests.faults.soak.health import CREATED, Health
from tests.faults.soak.load import REQUEST_PAUSE_SECONDS, Load
from tests.harness.files import replace
from tests.harness.hanging_directory import HangingDirectory, hanging_directory
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.ports import reserve_port
from tests.harness.programs import require_program
from tests.harness.redis_sentinel import RedisSentinel, redis_sentinel
from tests.harness.redis_server import RedisServer, redis_server
from tests.harness.signer import LOCAL_ENVIRON, Signer, signer
from tests.harness.waiting import deadline

TOKEN_SECONDS = 20
EXPIRES_SECONDS, MIN_REMAINING_SECONDS = 5, 1
MAX_OPEN_FILES = 512
DISK_BYTES = 16 * 2**20

APPS = [f"a{number}" for number in range(50)]
ROLES = [f"r{number}" for number in range(20)]
DENIED_ROLES, FILE_ROLES, PARTNER_ROLES = ROLES[10:12], ROLES[14:16], ROLES[16:]
"""Roles that can be denied, roles whose secrets are files that can hang, and roles with an STS of their own."""
CLOSED_APPS = APPS[12:14]
"""Their requests are rejected while Redis does not count them."""
NOTIFIED_APPS = APPS[1:7]
UNLIMITED_APPS = APPS[:10]

_MOUNT_DISKS = 'for each in "$1" "$2"; do mount -t tmpfs -o "size=$0" tmpfs "$each" || exit; done; shift 2; exec "$@"'


def apps_of(roles: Iterable[str]) -> set[str]:
    """Return the apps that use these roles."""
    return {app for number, app in enumerate(APPS) if ROLES[number % len(ROLES)] in roles}


@dataclass
class World:
    """The running processes, and the edits of the definitions that are active or wait."""

    directory: Path
    session: aiohttp.ClientSession
    cloud: Cloud
    partner: Cloud
    """The STS of the partner's roles."""
    files: HangingDirectory
    """Where the secrets of some roles are."""
    redis: tuple[RedisServer, RedisServer]
    sentinel: RedisSentinel
    servers: dict[str, AppServer]
    port: int = field(default_factory=reserve_port)
    health: Health = field(default_factory=Health)
    edits: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name, credentials and apps that are added to the definitions."""
    running: Signer = field(init=False)
    load: Load = field(init=False)
    audit: AuditLog = field(init=False)

    @property
    def config(self) -> Path:
        """The definitions."""
        return self.directory / "signer.yaml"

    def disk(self, name: str) -> Path:
        """Return a disk of the signer, as it is seen from outside of its mount namespace."""
        return Path(f"/proc/{self.running.process.pid}/root{self.directory}/{name}")

    def write_definitions(self) -> None:
        """Write the definitions with all edits."""
        definitions = self._definitions()
        for edit in self.edits.values():
            for section, entries in edit.items():
                definitions[section] |= entries
        replace(self.config, json.dumps(definitions))

    def _definitions(self) -> dict[str, Any]:
        return {
            "version": 1,
            "server": {
                "listen": f"127.0.0.1:{self.port}",
                "admin": "127.0.0.1:0",
                "callback_keys": f"{self.cloud.oss}/-/",
                "callback_queue": str(self.directory / "queue" / "queue.db"),
            },
            "limits": self.sentinel.url,
            "audit": str(self.directory / "audit" / "audit.log"),
            "credentials": {role: self._role(role) for role in ROLES},
            "defaults": {
                "bucket": "photos",
                "region": "cn-hangzhou",
                "domain": f"{self.cloud.oss}/photos",
                "expires": f"{EXPIRES_SECONDS}s",
            },
            "apps": {app: self._app(number, app) for number, app in enumerate(APPS)},
        }

    def _role(self, role: str) -> dict[str, Any]:
        definition = {
            "type": "assume_role",
            "role_arn": f"acs:ram::1234567890123456:role/{role}",
            "endpoint": (self.partner if role in PARTNER_ROLES else self.cloud).sts,
            "min_remaining": f"{MIN_REMAINING_SECONDS}s",
        }
        if role in FILE_ROLES:
            file = self.files.path / role
            definition["access_key_secret"] = f"${{file:{file}}}"
        return definition

    def _app(self, number: int, app: str) -> dict[str, Any]:
        definition: dict[str, Any] = {"key_prefix": f"{app}/", "credentials": ROLES[number % len(ROLES)]}
        if app not in UNLIMITED_APPS:
            definition["rate_limit"] = {
                "per_app": "1000/s",
                "when_redis_is_gone": "closed" if app in CLOSED_APPS else "open",
            }
        if app in self.servers:
            definition["key"] = "{filename}"
            definition["callback"] = {
                "url": f"http://127.0.0.1:{self.port}/v1/apps/{app}/callback",
                "body": BODY,
                "notify": self.servers[app].target,
            }
        return definition

    @contextlib.asynccontextmanager
    async def unhealthy(self, apps: Iterable[str], status: int) -> AsyncIterator[None]:
        """Allow a status for these apps during the block, and then until each of them has its forms again."""
        with self.health.unhealthy(apps, status):
            yield
            for app in apps:
                await self.wait_for_status(app, CREATED)

    async def wait_for_status(self, app: str, status: int) -> None:
        """Request forms of an app until a response has this status."""
        async with deadline():
            while (await self.load.request(app))[0] != status:
                await asyncio.sleep(REQUEST_PAUSE_SECONDS)

    @contextlib.asynccontextmanager
    async def edited(self, name: str, **sections: dict[str, Any]) -> AsyncIterator[None]:
        """Add credentials and apps to the definitions during the block, and wait until they are removed again."""
        apps = sections["apps"]
        with self.health.unhealthy(apps, 404):
            self.edits[name] = sections
            self.write_definitions()
            try:
                yield
            finally:
                del self.edits[name]
                self.write_definitions()
            last = next(reversed(apps))
            await self.wait_for_status(last, 404)


@contextlib.asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    """Start everything, and send no requests."""
    for name in ("audit", "queue"):
        (directory / name).mkdir()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_many_open_files())
        # The signer closes idle connections when it has too many.
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        )
        tokens = ("--token-seconds", str(TOKEN_SECONDS))
        redis = [
            await stack.enter_async_context(redis_server(directory / f"redis-{each}")) for each in ("one", "other")
        ]
        servers = {app: AppServer() for app in NOTIFIED_APPS}
        for server in servers.values():
            await stack.enter_async_context(server.running())
        its = World(
            directory,
            session,
            await stack.enter_async_context(local_cloud(session, "--bucket", "photos=cn-hangzhou", *tokens)),
            await stack.enter_async_context(local_cloud(session, *tokens)),
            await stack.enter_async_context(hanging_directory(directory)),
            (redis[0], redis[1]),
            await stack.enter_async_context(redis_sentinel(directory / "sentinel", redis[0], redis[1])),
            servers,
        )
        for role in FILE_ROLES:
            (its.files.path / role).write_text(LOCAL_ENVIRON["OSS_ACCESS_KEY_SECRET"], encoding="utf-8")
        its.write_definitions()
        its.running = await stack.enter_async_context(
            signer(session, its.config, "--state-dir", directory / "state", prefix=_limited(directory))
        )
        its.load = Load(its.running.public, session, its.health, servers)
        # The disk exists as long as its directory is open, also after the end of the signer.
        disk = os.open(its.disk("audit"), os.O_RDONLY)
        stack.callback(os.close, disk)
        its.audit = AuditLog(Path(f"/proc/self/fd/{disk}"))
        yield its


def _limited(directory: Path) -> tuple[object, ...]:
    """Return a command that runs the signer with few open files, and with small disks that only it sees."""
    limit = (require_program("prlimit"), f"--nofile={MAX_OPEN_FILES}:{MAX_OPEN_FILES}")
    mount = (require_program("unshare"), "--mount", "sh", "-c", _MOUNT_DISKS, DISK_BYTES)
    return (*limit, *mount, directory / "audit", directory / "queue")


@contextlib.contextmanager
def _many_open_files() -> Iterator[None]:
    """Let the tests open more connections than the signer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
