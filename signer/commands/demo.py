"""The demo: starts the local cloud as a process of its own, moves the definitions onto it, serves the page."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from pydantic import SecretStr

from signer.definitions import model
from signer.definitions.registry import AccessKeyTemplate, Registry, Role
from signer.demo.routes import add_page
from signer.environment import Environment
from signer.http.router import Routes
from signer.listen_address import ListenAddress
from signer.live.reload import Definitions, Reloader
from signer.server.serve import serve
from signer.server.sockets import CannotListen, listening
from signer.service import Service
from signer.signing.form import Forms
from signer.stores.store_factory import open_store

LOCAL_ACCESS_KEY_ID = "LTAI-local"
LOCAL_ACCESS_KEY_SECRET = "local-secret"  # noqa: S105
LOCAL_KEY = AccessKeyTemplate(LOCAL_ACCESS_KEY_ID, LOCAL_ACCESS_KEY_SECRET)
LOCAL_ROLE_ARN = "acs:ram::1234567890123456:role/oss-upload"
"""The account that the local cloud knows from the start."""

_START_SECONDS = 20.0
_FAULT_MEMBERS = {"status": "status", "clock": "offset_seconds"}
"""What a fault's number is called; for all others it is seconds."""
_PROJECT = Path(__file__).resolve().parents[2]


class CannotStart(Exception):
    """The local cloud did not come up; the text says why."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where the local cloud's servers listen."""

    metadata: str
    sts: str
    oss: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--listen", default="127.0.0.1", help="0.0.0.0 lets a phone on the same network use it")
    parser.add_argument("--port", type=int, default=5000, help="a free one is taken when it is in use (default: 5000)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="SERVER:KIND[=NUMBER]",
        help="a fault of the local cloud, such as sts:latency=3, metadata:hang or oss:clock=-1200; "
        "docs/operating.md lists them",
    )
    parser.add_argument("--data", type=Path, help="keep what is uploaded here (default: a temporary directory)")


async def run(options: argparse.Namespace) -> int:
    """Serves until stopped. Raises `CannotStart`, `BadDefinitions` and `CannotListen`."""
    environment = Environment(
        {
            "OSS_ACCESS_KEY_ID": LOCAL_ACCESS_KEY_ID,
            "OSS_ACCESS_KEY_SECRET": LOCAL_ACCESS_KEY_SECRET,
            "OSS_STS_ROLE_ARN": LOCAL_ROLE_ARN,
            **os.environ,
        },
        options.env_file,
    )
    host = _address_for_others() if options.listen == "0.0.0.0" else options.listen  # noqa: S104
    address = f"{options.listen}:{_port(options.listen, options.port)}"
    store = open_store(options.config)
    async with local_cloud(options.listen, options.data) as cloud, aiohttp.ClientSession() as session:
        await _set_faults(session, cloud, options.fault)
        seen = _as_seen_from(cloud.oss, host)
        definitions = Definitions(store, environment, lambda registry: onto(cloud, registry, address, seen))
        registry, started_with = await definitions.begin()

        async def extend(routes: Routes, service: Service) -> None:
            add_page(routes, service, session, cloud.oss, seen)

        def started(public: str, _admin: str) -> None:
            print(f"The upload page:   {_as_seen_from(public, host)}/", flush=True)  # noqa: T201
            print(f"The local OSS:     {seen}/", flush=True)  # noqa: T201
            print("Edit the definitions while it runs; Ctrl-C ends both.", flush=True)  # noqa: T201

        service = Service(registry, environment)
        try:
            reloader = Reloader(definitions, service, started_with)
            await serve(service, reloader, extend=extend, started=started)
        finally:
            await service.close()
            await store.close()
    return 0


async def _set_faults(session: aiohttp.ClientSession, cloud: Cloud, texts: list[str]) -> None:
    faults: dict[str, dict[str, Any]] = {}
    for text in texts:
        server, _, rest = text.partition(":")
        kind, _, number = rest.partition("=")
        member = _FAULT_MEMBERS.get(kind, "seconds")
        try:
            faults[server] = {"kind": kind} | (
                {member: float(number) if "." in number else int(number)} if number else {}
            )
        except ValueError:
            raise CannotStart(f"--fault {text}: {number} is no number") from None
    async with session.put(f"{cloud.oss}/-/faults", json=faults) as answer:
        if answer.status != 200:
            raise CannotStart(f"--fault {' '.join(texts)}: {(await answer.json())['error']}")


@contextlib.asynccontextmanager
async def local_cloud(host: str, data: Path | None) -> AsyncIterator[Cloud]:
    """The local cloud as a process; ended with the block. Raises `CannotStart`."""
    arguments = ["-m", "localcloud", "--host", host, *(["--data", str(data)] if data is not None else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, cwd=_PROJECT, start_new_session=True
    )
    assert process.stdout is not None
    try:
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await process.stdout.readline()
            addresses = json.loads(line)
        except (TimeoutError, ValueError):
            raise CannotStart("the local cloud did not start; run python -m localcloud to see why") from None
        yield Cloud(addresses["metadata"], addresses["sts"], addresses["oss"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def onto(cloud: Cloud, registry: Registry, address: str, oss: str) -> Registry:
    """The same apps, signing with the local cloud's credentials and uploading to its OSS. Blocks to create buckets."""
    _create_buckets(cloud, registry)
    apps = {
        app_id: dataclasses.replace(
            app, forms=Forms(app_id, dataclasses.replace(app.rules, url=f"{oss}/{app.rules.bucket}"))
        )
        for app_id, app in registry.apps.items()
    }
    roles = {key: _moved(role, cloud) for key, role in registry.roles.items()}
    server = model.Server(listen=address, admin="127.0.0.1:0")
    return dataclasses.replace(
        registry, server=server, apps=MappingProxyType(apps), roles=MappingProxyType(roles), limits=None
    )


def _create_buckets(cloud: Cloud, registry: Registry) -> None:
    for bucket, region in sorted({(app.rules.bucket, app.rules.region) for app in registry.apps.values()}):
        body = json.dumps({"name": bucket, "region": region}).encode()
        with urllib.request.urlopen(f"{cloud.oss}/-/buckets", body, timeout=_START_SECONDS):  # noqa: S310
            pass


def _moved(role: Role, cloud: Cloud) -> Role:
    """The same role as the local cloud has it; what it has not, such as OIDC, is assumed with its AccessKey."""
    source = None if role.source is None else _moved(role.source, cloud)
    entry = _entry(role.entry, cloud)
    return dataclasses.replace(role, entry=entry, access_key=LOCAL_KEY if source is None else None, source=source)


def _entry(entry: model.CredentialEntry, cloud: Cloud) -> model.CredentialEntry:
    if isinstance(entry, model.EcsRamRole):
        return entry.model_copy(update={"endpoint": cloud.metadata, "role_name": None})
    if isinstance(entry, model.AssumeRole):
        return entry.model_copy(update={"endpoint": cloud.sts, "role_arn": _known(entry.role_arn), "external_id": None})
    if isinstance(entry, model.Oidc):
        shared = {name: getattr(entry, name) for name in model.AssumedRole.model_fields}
        moved = {"type": "assume_role", "endpoint": cloud.sts, "role_arn": _known(entry.role_arn)}
        return model.AssumeRole.model_construct(**{**shared, **moved})
    return model.Static.model_construct(
        type="static",
        min_remaining=entry.min_remaining,
        timeout=entry.timeout,
        access_key_id=LOCAL_ACCESS_KEY_ID,
        access_key_secret=SecretStr(LOCAL_ACCESS_KEY_SECRET),
        security_token=None,
    )


def _known(role_arn: str) -> str:
    return LOCAL_ROLE_ARN.rpartition("/")[0] + "/" + role_arn.rpartition("/")[2]


def _port(host: str, port: int) -> int:
    """`port` if it is free, else 0."""
    try:
        with listening(ListenAddress(host.strip("[]"), port)):
            return port
    except CannotListen:
        return 0


def _address_for_others() -> str:
    """This machine's address on its network; a UDP socket learns it without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _as_seen_from(url: str, host: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{host}:{rest.rpartition(':')[2]}"
