"""Validate the definitions, and print every mistake and warning."""

import argparse
import json
from typing import Any

from signer.commands.definition_options import add_definition_options, add_workers_option, open_definitions
from signer.commands.mistake_output import print_warnings
from signer.definitions.exposure import store_exposures
from signer.definitions.mistake_report import summary
from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.quantities import format_count
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings
from signer.environment import CannotReadEnvironment
from signer.live.admin_client import CannotCallSigner
from signer.live.running_definitions import changes_to_running
from signer.server import event_loop
from signer.server.certificate import certificate_warnings
from signer.server.deployment import deployment_warnings
from signer.stores.protocol import CannotRead


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_definition_options(parser)
    add_workers_option(parser)
    parser.add_argument("--json", action="store_true", help="print errors and warnings as JSON on stdout, for CI")
    parser.add_argument(
        "--diff",
        nargs="?",
        const="",
        metavar="URL",
        help="also print what a running signer would change with these definitions; URL is its admin address, "
        "http://host:port or unix:/path (default: the admin address in the definitions). "
        "$OSS_SIGNER_ADMIN_TOKEN is its token (default: server.admin_token of the definitions)",
    )


def run(options: argparse.Namespace) -> int:
    """Check the definitions; return 1 when they cannot be used."""
    try:
        location, registry, changes, machine_warnings = event_loop.run(_load(options))
        warnings = [*store_exposures(location), *find_warnings(registry, options.workers), *machine_warnings]
    except (BadDefinitions, CannotRead, CannotReadEnvironment, CannotCallSigner) as error:
        if not options.json:
            raise
        if isinstance(error, BadDefinitions):
            return _print_json([_members(mistake) for mistake in error.mistakes])
        return _print_json([{"file": None, "line": None, "column": None, "message": str(error)}])
    counts = {
        "apps": len(registry.apps),
        "apps_switched_off": sum(not app.enabled for app in registry.apps.values()),
        "roles": len(registry.longest_expires()),
    }
    if options.json:
        compared = {} if changes is None else {"changes": changes}
        return _print_json([], [_members(warning) for warning in warnings], {**counts, **compared})
    print_warnings(warnings)
    if changes is not None:
        print("\n".join(changes or ["no changes"]))
    apps, disabled, roles = counts.values()
    found = f"{format_count(apps, 'app')} ({disabled:,} disabled) on {format_count(roles, 'role')}"
    print(f"{location}: {found}; {summary(0, len(warnings)) or 'no errors or warnings'}")
    return 0


async def _load(options: argparse.Namespace) -> tuple[str, Registry, list[str] | None, list[Mistake]]:
    """Return the store's location and content, what a running signer would change, and this machine's warnings."""
    async with open_definitions(options) as definitions:
        registry = await definitions.parse((await definitions.load()).files)
        location = definitions.store.location
    changes = None
    if options.diff is not None:
        changes = await changes_to_running(options.diff, registry)
    warnings = [*await certificate_warnings(registry), *await deployment_warnings(registry, location)]
    return location, registry, changes, warnings


def _members(mistake: Mistake) -> dict[str, Any]:
    """Return a mistake for JSON: columns count characters from 1, and `source` is the line with secrets masked."""
    source = None if mistake.excerpt is None else mistake.excerpt.text
    return {**mistake.members(), "end_column": mistake.place.column + mistake.place.width, "source": source}


def _print_json(
    errors: list[dict[str, Any]], warnings: list[dict[str, Any]] | None = None, more: dict[str, Any] | None = None
) -> int:
    document = {"ok": not errors, **(more or {}), "errors": errors, "warnings": warnings or []}
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 1 if errors else 0
