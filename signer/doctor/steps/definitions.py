"""Step `definitions`: can the definitions be read and used. Every later step depends on it."""

import asyncio
import re

from signer.definitions.mistakes import BadDefinitions, Mistake
from signer.definitions.quantities import format_count
from signer.definitions.registry import Registry
from signer.definitions.warnings import find_warnings
from signer.doctor.findings import Finding, Subject
from signer.doctor.steps.files import check_environment_file, check_output_files, check_read_files
from signer.environment import CannotReadEnvironment, Environment
from signer.file_calls import run_in_thread
from signer.live.definition_source import DefinitionSource
from signer.stores.protocol import CannotRead
from signer.stores.store_factory import open_store

_UNREADABLE_FILE = re.compile(r"\$\{file:[^}]*\} cannot be read")
_CHECK = "`oss-signer check` shows each place; correct the line and run doctor again"

Result = tuple[Registry | None, list[Finding]]
"""The definitions, None if they cannot be used, and the findings of the steps `definitions` and `files`."""


async def check_definitions(config: str, environment: Environment) -> Result:
    """Read the definitions. What is wrong becomes a finding; nothing is raised."""
    found: list[Finding] = []
    if environment.file is not None:
        found.append(await run_in_thread(lambda: check_environment_file(environment)))
    try:
        store = open_store(config)
    except CannotRead as error:
        return None, [*found, Subject("definitions", "").failed(*_what_and_fix(error))]
    subject = Subject("definitions", store.location)
    try:
        definitions = DefinitionSource(store, environment)
        files = (await definitions.load()).files
        found += await run_in_thread(lambda: check_read_files(files))
        registry = await definitions.parse(files)
    except CannotRead as error:
        return None, [*found, subject.failed(*_what_and_fix(error))]
    except CannotReadEnvironment:
        return None, [*found, subject.not_checked("because the environment file cannot be read")]
    except BadDefinitions as error:
        return None, [*found, *_mistakes(subject, error.mistakes)]
    finally:
        await store.close()
    apps = format_count(len(registry.apps), "app")
    found.append(subject.ok(f"{apps} on {format_count(len(registry.longest_expires()), 'role')}"))
    found += await asyncio.to_thread(_warnings, subject, registry)
    found += await run_in_thread(lambda: check_output_files(registry))
    return registry, found


def _what_and_fix(error: CannotRead) -> tuple[str, str]:
    what, _, fix = str(error).partition("; ")
    return what, fix or "check that this machine and the service's user can reach and read the store"


def _mistakes(subject: Subject, mistakes: list[Mistake]) -> list[Finding]:
    """An unreadable file is left out: the step `files` reports it."""
    others = [mistake for mistake in mistakes if not _UNREADABLE_FILE.search(mistake.message)]
    if not others:
        return [subject.not_checked("because a file that they refer to cannot be read")]
    return [Subject("definitions", str(mistake.place)).failed(mistake.message, _CHECK) for mistake in others]


def _warnings(subject: Subject, registry: Registry) -> list[Finding]:
    warnings = find_warnings(registry)
    if not warnings:
        return []
    what = f"{format_count(len(warnings), 'warning')}; the first: {warnings[0].place}: {warnings[0].message}"
    return [subject.warning(what, "`oss-signer check` lists all of them")]
