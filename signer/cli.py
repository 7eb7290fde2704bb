"""The command line: serve · check · sign · push · pull · schema · demo."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import signer
from signer import check, logs, publish
from signer.callbacks.queue import CannotOpenQueue
from signer.callers.protocol import Caller
from signer.definitions.markdown import markdown
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.registry import Registry
from signer.definitions.schema import json_schema
from signer.demo import command as demo
from signer.environment import CannotReadEnvironment, Environment
from signer.errors import Problem
from signer.policy import SignedUpload, Wish
from signer.reload import Definitions, Reloader
from signer.running_definitions import CannotCompare
from signer.service import Service
from signer.stores.last_good import last_good
from signer.stores.opening import open_store
from signer.stores.protocol import CannotRead, CannotWrite
from signer.web import answers
from signer.web.server import CannotListen, serve

_loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):  # Windows has none
    from uvloop import new_event_loop

    _loop_factory = new_event_loop

OK, WRONG = 0, 1

T = TypeVar("T")


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status is 0, 1 when it says what is wrong, 2 for unknown arguments."""
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
    check.add_arguments(command("check", _check, "Read the definitions and say what is wrong with them."))
    sign = command("sign", _sign, "Sign one upload and print the answer and its decoded policy.")
    sign.add_argument("app", metavar="APP")
    sign.add_argument("--filename")
    sign.add_argument("--content-type")
    sign.add_argument("--size", type=int, help="bytes")
    sign.add_argument("--caller", help="the caller id to put where {caller} stands")
    publish.add_push_arguments(command("push", _push, "Check definitions and put them into a store."))
    command("pull", _pull, "Print the definitions that a store holds.")
    schema = command("schema", _schema, "Print the JSON Schema of the definitions.", config=False)
    schema.add_argument("--markdown", action="store_true", help="docs/configuration.md instead")
    demo.add_arguments(command("demo", _demo, "Run the signer with a local cloud and an upload page; no account."))
    return parser


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
    _allow_many_connections()

    async def until_stopped() -> int:
        async with _definitions(options, options.state_dir) as definitions:
            logs.set_up()
            registry, started = await definitions.begin()
            service = Service(registry, _environment(options))
            try:
                await serve(service, Reloader(definitions, service, started))
            finally:
                await service.close()
        return OK

    return _run(until_stopped())


def _check(options: argparse.Namespace) -> int:
    return _run(check.run(options))


def _sign(options: argparse.Namespace) -> int:
    wish = Wish(options.filename, options.content_type, options.size)

    async def sign(registry: Registry) -> SignedUpload:
        service = Service(registry, _environment(options))
        try:
            app = registry.app(options.app)
            return await service.sign(service.current, app, Caller(options.caller), wish)
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


def _push(options: argparse.Namespace) -> int:
    return _run(publish.run_push(options))


def _pull(options: argparse.Namespace) -> int:
    return _run(publish.run_pull(options))


def _schema(options: argparse.Namespace) -> int:
    sys.stdout.write(markdown() if options.markdown else json_schema())
    return OK


def _demo(options: argparse.Namespace) -> int:
    logs.set_up(level=logs.WARNING)
    return _run(demo.run(options))
