"""Sign uploads until stopped."""

import argparse
import logging
import os
from pathlib import Path

from signer.commands.definition_options import (
    add_definition_options,
    add_workers_option,
    environment,
    open_definitions,
)
from signer.commands.mistake_output import print_mistakes
from signer.definitions.mistakes import BadDefinitions
from signer.delivery.queue import CannotOpenQueue
from signer.environment import CannotReadEnvironment
from signer.live.reloader import Reloader
from signer.server import event_loop
from signer.server.certificate import certificate_warnings
from signer.server.deployment import deployment_warnings
from signer.server.exit_deadline import ExitDeadline
from signer.server.process_settings import enable_crash_traceback, raise_open_file_limit
from signer.server.serve import serve
from signer.server.sockets import CannotListen
from signer.server.systemd_notify import ServiceManager
from signer.service import Service
from signer.stores.protocol import CannotRead
from signer.telemetry.process_log import process_log

log = logging.getLogger("oss_signer")

_STOPPED = 0
"""By a signal."""
_BAD_DEFINITIONS = 1
_CANNOT_LISTEN = 3
_INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h."""
_EXIT_SECONDS = 5.0
"""How long the process may take to end after everything is closed, with the last lines of the log."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or None,
        help="a directory for the last good copy of a remote store's definitions, to start from while the store is "
        "unavailable (default: $STATE_DIRECTORY, which systemd sets)",
    )
    parser.add_argument(
        "--worker",
        type=int,
        metavar="N",
        help="the number of this signer among several on one machine, from 1: its admin port is the configured one "
        "plus N-1, and its log lines carry the number",
    )
    add_workers_option(parser)
    parser.add_argument(
        "--drain-seconds",
        type=float,
        default=os.environ.get("OSS_SIGNER_DRAIN_SECONDS", "5"),
        metavar="SECONDS",
        help="how long open connections may still send a request after SIGTERM (default: $OSS_SIGNER_DRAIN_SECONDS, "
        "or 5)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status."""
    with process_log(worker=options.worker):
        raise_open_file_limit()
        enable_crash_traceback()
        manager = ServiceManager.from_environment()
        try:
            return event_loop.run(_run(options, manager))
        except Exception as error:
            return _log_end(manager, _INTERNAL_ERROR, "internal error", error)


async def _run(options: argparse.Namespace, manager: ServiceManager) -> int:
    deadline = ExitDeadline()
    status = _INTERNAL_ERROR
    try:
        await _serve(options, manager, deadline)
        status = _STOPPED
    except BadDefinitions as error:
        print_mistakes(error)
        status = _log_end(manager, _BAD_DEFINITIONS, f"the definitions are wrong: {error.mistakes[0]}")
    except (CannotRead, CannotReadEnvironment, CannotOpenQueue) as error:
        status = _log_end(manager, _BAD_DEFINITIONS, str(error))
    except CannotListen as error:
        status = _log_end(manager, _CANNOT_LISTEN, str(error))
    finally:
        # Before it ends, Python waits for threads, which may hang.
        deadline.start(_EXIT_SECONDS, status)
    return status


async def _serve(options: argparse.Namespace, manager: ServiceManager, deadline: ExitDeadline) -> None:
    async with open_definitions(options, options.state_dir) as definitions:
        registry, started = await definitions.start()
        await certificate_warnings(registry)
        # The sockets that systemd passes are noticed where they are used.
        for warning in await deployment_warnings(registry, definitions.store.location, unit_directories=()):
            log.warning("definitions cannot change", extra={"reason": warning.message})
        workers = max(options.workers, options.worker or 1)
        async with Service(registry, environment(options), workers=workers) as service:
            reloader = Reloader(definitions, service, started)
            await serve(
                service,
                reloader,
                manager=manager,
                worker=options.worker,
                drain_seconds=options.drain_seconds,
                deadline=deadline,
            )


def _log_end(manager: ServiceManager, status: int, reason: str, error: Exception | None = None) -> int:
    log.critical("ended", extra={"reason": reason, "exit_status": status}, exc_info=error)
    manager.failed(reason)
    return status
