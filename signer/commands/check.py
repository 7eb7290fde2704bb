"""The command `check`: reads the definitions and says what is wrong with them, for people or for programs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from signer.commands.certificate_check import certificate_warnings
from signer.definitions.mistake_report import render_mistakes, summary, wants_color
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.quantities import format_count
from signer.definitions.registry import Registry
from signer.environment import CannotReadEnvironment, Environment
from signer.live.reload import Definitions
from signer.live.running_definitions import CannotCompare, admin_url, changes_to
from signer.stores.protocol import CannotRead
from signer.stores.store_factory import open_store

_WARNINGS_SHOWN = 50
"""To people; ten thousand apps may each have one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="errors and warnings as JSON on stdout, for CI")
    parser.add_argument(
        "--diff",
        nargs="?",
        const="",
        metavar="URL",
        help="also what a running signer would change if it took these definitions over; "
        "URL is its admin address, http://host:port or unix:/path (default: that of the definitions); "
        "$OSS_SIGNER_ADMIN_TOKEN is sent to it (default: server.admin_token of the definitions)",
    )


async def run(options: argparse.Namespace) -> int:
    """Status 1 when something is wrong. Raises `CannotRead` and `CannotReadEnvironment` where that is not JSON."""
    try:
        store = open_store(options.config)
        try:
            definitions = Definitions(store, Environment(os.environ, options.env_file))
            registry = await definitions.parse((await definitions.load()).files)
        finally:
            await store.close()
        warnings = [*registry.warnings(), *certificate_warnings(registry)]
        changes = (
            None if options.diff is None else await changes_to(options.diff or admin_url(registry.server), registry)
        )
    except BadDefinitions as error:
        if not options.json:
            raise
        return _as_json([_members(mistake) for mistake in error.mistakes])
    except (CannotRead, CannotReadEnvironment, CannotCompare) as error:
        if not options.json:
            raise
        return _as_json([{"file": None, "line": None, "column": None, "message": str(error)}])
    if options.json:
        shown = {} if changes is None else {"changes": changes}
        return _as_json([], [_members(warning) for warning in warnings], {**_counts(registry), **shown})
    tell_warnings(warnings)
    for line in changes or ():
        print(line)  # noqa: T201
    if changes == []:
        print("no changes")  # noqa: T201
    apps, off, roles = _counts(registry).values()
    told_apps = f"{format_count(apps, 'app')} ({off:,} switched off) on {format_count(roles, 'role')}"
    print(f"{store.location}: {told_apps}; {summary(0, len(warnings)) or 'all good'}")  # noqa: T201
    return 0


def tell(error: BadDefinitions) -> None:
    """All mistakes on stderr, each with its line."""
    sys.stderr.write(render_mistakes(error.mistakes, color=wants_color(sys.stderr)))
    sys.stderr.write(f"{summary(len(error.mistakes))}\n")


def tell_warnings(warnings: Sequence[Mistake]) -> None:
    """On stderr, each with its line."""
    sys.stderr.write(render_mistakes(warnings[:_WARNINGS_SHOWN], kind="warning", color=wants_color(sys.stderr)))
    if len(warnings) > _WARNINGS_SHOWN:
        sys.stderr.write(f"and {len(warnings) - _WARNINGS_SHOWN:,} more warnings; --json tells all\n")


def _counts(registry: Registry) -> dict[str, int]:
    return {
        "apps": len(registry.apps),
        "apps_switched_off": sum(not app.enabled for app in registry.apps.values()),
        "roles": len(registry.longest_expires()),
    }


def _members(mistake: Mistake) -> dict[str, Any]:
    """Columns count characters from 1; `source` is the line, secrets masked, cut where it is long."""
    place, excerpt = mistake.place, mistake.excerpt
    return {
        **mistake.members(),
        "end_column": place.column + place.width,
        "source": None if excerpt is None else excerpt.text,
    }


def _as_json(
    errors: list[dict[str, Any]], warnings: list[dict[str, Any]] | None = None, more: dict[str, Any] | None = None
) -> int:
    document = {"ok": not errors, **(more or {}), "errors": errors, "warnings": warnings or []}
    print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201
    return 1 if errors else 0
