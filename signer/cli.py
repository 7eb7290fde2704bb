"""The command line: serve · check · reload · sign · doctor · domains · push · pull · schema · demo."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import signer
from signer.api import answers
from signer.callers.caller import Caller
from signer.commands import check, demo, domains, push_pull, reload
from signer.commands.certificate_check import certificate_warnings
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.registry import Registry
from signer.definitions.schema import json_schema
from signer.delivery.queue import CannotOpenQueue
from signer.environment import CannotReadEnvironment, Environment
from signer.errors import Problem
from signer.live.last_good import last_good
from signer.live.reload import Definitions, Reloader
from signer.live.running_definitions import CannotCompare
from signer.server.serve import serve
from signer.server.sockets import CannotListen
from signer.server.systemd_notify import ServiceManager
from signer.service import Service
from signer.signing.form import SignedUpload
from signer.signing.upload_rules import UploadRequest
from signer.stores.protocol import CannotRead, CannotWrite
from signer.stores.store_factory import open_store
from signer.telemetry import logs

_loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):  # Windows has none
    from uvloop import new_event_loop

    _loop_factory = new_event_loop

OK, WRONG = 0, 1
CANNOT_LISTEN, UNEXPECTED = 3, 70
"""Of `serve`: an address is not to be had; a defect of ours (EX_SOFTWARE of sysexits.h). 2 is argparse's."""

T = TypeVar("T")


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status is 0, 1 when it says what is wrong, 2 for unknown arguments.

    `serve` has some more.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except BadDefinitions as error:
        check.tell(error)
        return WRONG
    except (
        CannotRead,
        CannotWrite,
        CannotCompare,
        CannotReadEnvironment,
        CannotListen,
        CannotOpenQueue,
        demo.CannotStart,
    ) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return WRONG
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="oss-signer", description=signer.__doc__)
    parser.add_argument("--version", action="version", version=f"oss-signer {signer.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str, *, config: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        if config:
            sub.add_argument(
                "--config",
                default=os.environ.get("OSS_SIGNER_CONFIG", "config"),  # which may hold a password
                help="file, directory or the URL of a store (default: $OSS_SIGNER_CONFIG, or config)",
            )
            sub.add_argument(
                "--env-file",
                type=Path,
                default=os.environ.get("OSS_SIGNER_ENV_FILE") or None,
                help="NAME=value lines for ${NAME} in the definitions, read anew when a credential is fetched",
            )
        return sub

    serving = command("serve", _serve, "Sign uploads until stopped.")
    serving.add_argument(
        "--state-dir",
        type=Path,
        default=os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or None,
        help="keeps the last good definitions of a remote store here, for a start while it is away "
        "(default: $STATE_DIRECTORY, as systemd sets it)",
    )
    serving.add_argument(
        "--worker",
        type=int,
        metavar="N",
        help="which of several signers on this machine this one is, from 1: its admin port is N-1 above the configured "
        "one, and its log lines name it",
    )
    serving.add_argument(
        "--drain-seconds",
        type=float,
        default=os.environ.get("OSS_SIGNER_DRAIN_SECONDS", "5"),
        metavar="SECONDS",
        help="how long idle connections may still send a request after SIGTERM (default: $OSS_SIGNER_DRAIN_SECONDS, "
        "or 5)",
    )
    reload.add_arguments(
        command("reload", reload.run, "Have a running signer take its definitions over.", config=False)
    )
    check.add_arguments(command("check", _check, "Read the definitions and say what is wrong with them."))
    sign = command("sign", _sign, "Sign one upload and print the answer and its decoded policy.")
    sign.add_argument("app", metavar="APP")
    sign.add_argument("--filename")
    sign.add_argument("--content-type")
    sign.add_argument("--size", type=int, help="bytes")
    sign.add_argument("--caller", help="the caller id to put where {caller} stands")
    _add_doctor_arguments(command("doctor", _doctor, "Look at this machine step by step and say what to do."))
    domains.add_arguments(command("domains", _domains, "Print the domains for the WeChat console."))
    push_pull.add_push_arguments(command("push", _push, "Check definitions and put them into a store."))
    command("pull", _pull, "Print the definitions that a store holds.")
    command("schema", _schema, "Print the JSON Schema of the definitions.", config=False)
    demo.add_arguments(command("demo", _demo, "Run the signer with a local cloud and an upload page; no account."))
    return parser


def _add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="what was found as JSON, for programs")
    parser.add_argument("--app", metavar="ID", help="look at what this app needs and at no other")
    parser.add_argument(
        "--write", action="store_true", help="also put an empty object below each prefix and remove it again"
    )
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="SECONDS", help="how long one answer may take (default: 5)"
    )
    parser.add_argument(
        "--oss-endpoint",
        default="https://oss-{region}.aliyuncs.com",
        metavar="URL",
        help="where OSS is asked (default: %(default)s); another one without {region} holds the bucket in its path",
    )


def _environment(options: argparse.Namespace) -> Environment:
    return Environment(os.environ, options.env_file)


@contextlib.asynccontextmanager
async def _definitions(options: argparse.Namespace, state_directory: Path | None = None) -> AsyncIterator[Definitions]:
    store = open_store(options.config)
    try:
        yield Definitions(store, _environment(options), last_good=last_good(store, state_directory))
    finally:
        await store.close()


async def _registry(options: argparse.Namespace) -> Registry:
    async with _definitions(options) as definitions:
        return await definitions.parse((await definitions.load()).files)


def _run(main_coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs on uvloop where there is one."""
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        return runner.run(main_coroutine)


def _allow_many_connections() -> None:
    """Each needs an open file, and the system's usual limit of 1,024 is only a default."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has none
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _serve(options: argparse.Namespace) -> int:
    logs.set_up(worker=options.worker)
    _allow_many_connections()
    faulthandler.enable()  # systemd's watchdog sends SIGABRT: the log then says where the event loop stood still
    manager = ServiceManager()

    async def until_stopped() -> int:
        async with _definitions(options, options.state_dir) as definitions:
            registry, started = await definitions.begin()
            await asyncio.to_thread(certificate_warnings, registry)
            service = Service(registry, _environment(options))
            try:
                await serve(
                    service,
                    Reloader(definitions, service, started),
                    manager=manager,
                    worker=options.worker,
                    drain_seconds=options.drain_seconds,
                )
            finally:
                await service.close()
        return OK

    try:
        return _run(until_stopped())
    except BadDefinitions as error:
        check.tell(error)
        return _ended(manager, WRONG, f"the definitions are wrong: {error.mistakes[0]}")
    except (CannotRead, CannotReadEnvironment, CannotOpenQueue) as error:
        return _ended(manager, WRONG, str(error))
    except CannotListen as error:
        return _ended(manager, CANNOT_LISTEN, str(error))
    except Exception as error:
        return _ended(manager, UNEXPECTED, "internal error", error)


def _ended(manager: ServiceManager, status: int, why: str, error: Exception | None = None) -> int:
    """Says in the last line of the log, and to systemd, why there is no signer any more."""
    logging.getLogger("oss_signer").critical("ended", extra={"reason": why, "exit_status": status}, exc_info=error)
    manager.failed(why)
    return status


def _check(options: argparse.Namespace) -> int:
    return _run(check.run(options))


def _sign(options: argparse.Namespace) -> int:
    request = UploadRequest(options.filename, options.content_type, options.size)

    async def sign(registry: Registry) -> SignedUpload:
        service = Service(registry, _environment(options))
        try:
            app = registry.app(options.app)
            return await service.sign(service.current, app, Caller(options.caller), request)
        finally:
            await service.close()

    async def show() -> int:
        try:
            upload = await sign(await _registry(options))
        except Problem as problem:
            print(f"{problem.code}: {problem.detail}", file=sys.stderr)  # noqa: T201
            return WRONG
        shown = {"answer": answers.whole_form(upload), "policy": upload.policy()}
        print(json.dumps(shown, indent=2, ensure_ascii=False))  # noqa: T201
        return OK

    logs.set_up(level=logs.WARNING)
    return _run(show())


def _doctor(options: argparse.Namespace) -> int:
    # Imports all SDKs, which no other command needs.
    from signer.commands import doctor

    return _run(doctor.run(options))


def _domains(options: argparse.Namespace) -> int:
    async def show() -> int:
        return domains.show(await _registry(options), options)

    return _run(show())


def _push(options: argparse.Namespace) -> int:
    return _run(push_pull.run_push(options))


def _pull(options: argparse.Namespace) -> int:
    return _run(push_pull.run_pull(options))


def _schema(_options: argparse.Namespace) -> int:
    sys.stdout.write(json_schema())
    return OK


def _demo(options: argparse.Namespace) -> int:
    logs.set_up(level=logs.WARNING)
    return _run(demo.run(options))
