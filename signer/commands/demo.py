"""Run the signer with a local cloud and an upload page; no account is needed."""

import argparse
import contextlib
import os
import secrets
import sys
from pathlib import Path

import aiohttp

from signer.commands.definition_options import DEFAULT_CONFIG, add_definition_options
from signer.demo import local_cloud
from signer.demo.addresses import reachable_host, with_host
from signer.demo.default_app import with_default_app
from signer.demo.example import write_example
from signer.demo.relocation import relocate
from signer.demo.upload_page import add_upload_page
from signer.environment import Environment
from signer.http.router import Router
from signer.listen_address import ListenAddress
from signer.live.definition_source import DefinitionSource
from signer.live.reloader import Reloader
from signer.server import event_loop
from signer.server.serve import serve
from signer.server.sockets import CannotListen, listening_socket
from signer.service import Service
from signer.stores.store_factory import is_remote, open_store
from signer.telemetry import logs
from signer.telemetry.process_log import process_log

_PORTS = (
    ("--port", 5000, "the upload page and the signer"),
    ("--admin-port", 9180, "the status page"),
    ("--oss-port", 9000, "the local OSS"),
)
_LOOPBACK = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    parser.add_argument("--listen", default="127.0.0.1", help="0.0.0.0 serves a phone on the same network, too")
    for option, default, what in _PORTS:
        parser.add_argument(
            option, type=int, default=default, metavar="PORT", help=f"port of {what} (default: {default})"
        )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="SERVER:KIND[=NUMBER]",
        help="a fault of the local cloud, for example sts:latency=3, metadata:hang or oss:clock=-1200; "
        "docs/operating.md lists them",
    )
    parser.add_argument("--data", type=Path, help="a directory to keep uploads in (default: a temporary directory)")


def run(options: argparse.Namespace) -> int:
    """Serve until stopped."""
    if options.config == DEFAULT_CONFIG and not Path(DEFAULT_CONFIG).exists():
        write_example(Path(DEFAULT_CONFIG))
        print(f"Example definitions are written to {DEFAULT_CONFIG}/", flush=True)
    with process_log(level=logs.WARNING):
        event_loop.run(_demo(options))
    return 0


async def _demo(options: argparse.Namespace) -> None:
    defaults = {
        "OSS_ACCESS_KEY_ID": local_cloud.ACCESS_KEY_ID,
        "OSS_ACCESS_KEY_SECRET": local_cloud.ACCESS_KEY_SECRET,
        "OSS_STS_ROLE_ARN": local_cloud.ROLE_ARN,
        "SIGNER_SECRET": secrets.token_hex(32),
    }
    environment = Environment(defaults | os.environ, options.env_file)
    host = reachable_host(options.listen)
    public = f"{options.listen}:{_free_port(options.listen, options.port)}"
    admin = f"{_LOOPBACK}:{_free_port(_LOOPBACK, options.admin_port)}"
    oss_port = _free_port(options.listen, options.oss_port)
    store = open_store(options.config)
    async with (
        local_cloud.local_cloud(options.listen, oss_port, options.data) as cloud,
        aiohttp.ClientSession() as session,
        contextlib.AsyncExitStack() as stack,
    ):
        stack.push_async_callback(store.close)
        await local_cloud.set_faults(session, cloud, options.fault)
        oss = with_host(cloud.oss, host)
        definitions = DefinitionSource(
            store, environment, lambda registry: relocate(cloud, registry, public=public, admin=admin, oss=oss)
        )
        registry, started = await definitions.start()

        async def add_routes(routes: Router, service: Service) -> None:
            routes.change_app_naming(with_default_app)
            add_upload_page(routes, service, session, cloud.oss, oss)

        def print_urls(page: str, status: str) -> None:
            print(f"The upload page:   {with_host(page, host)}/", flush=True)
            print(f"The local OSS:     {oss}/", flush=True)
            print(f"The status page:   {status}/status", flush=True)
            if not is_remote(options.config):  # the URL of a store may contain a password
                print(f"The definitions:   {options.config}", flush=True)
            print("Edit the definitions while the demo runs. Ctrl-C stops it.", flush=True)

        service = await stack.enter_async_context(Service(registry, environment))
        await serve(
            service,
            Reloader(definitions, service, started),
            extend=add_routes,
            started=print_urls,
            stop_with_terminal=True,
        )


def _free_port(host: str, port: int) -> int:
    """Return the port if it is free, else 0 for any free one."""
    try:
        with listening_socket(ListenAddress(host.strip("[]"), port)):
            return port
    except CannotListen:
        print(f"port {port} is in use; using another one", file=sys.stderr, flush=True)
        return 0
