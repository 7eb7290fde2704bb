"""Loads and parses the definitions of a store, with the last good copy as fallback at start."""

import asyncio
from collections.abc import Callable, Mapping

from signer.clock import utc_now
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.environment import CannotReadEnvironment, Environment, Variables
from signer.file_calls import run_in_thread
from signer.garbage_collection import without_garbage_collection
from signer.live.last_good import CannotUseCopy, LastGoodFile
from signer.live.reload_result import ReloadResult
from signer.stores.protocol import CannotRead, Snapshot, Store

_LOAD_SECONDS = 60.0
"""How long a store may take; the built-in stores give up earlier and with a better message."""


class DefinitionSource:
    """A store together with what is needed to parse its definitions again and again."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        transform: Callable[[Registry], Registry] = lambda registry: registry,
        last_good: LastGoodFile | None = None,
    ) -> None:
        """Create a source; the demo points the apps of each registry to the local cloud with `transform`."""
        self.store = store
        self._environment = environment
        self._transform = transform
        self._last_good = last_good
        self._parser = Parser()
        self._rejected_with: Variables | str | None = None
        """The variables and files with which the last definitions were rejected, or why there were none."""

    async def start(self) -> tuple[Registry, ReloadResult]:
        """Load the definitions to start with: those of the store, else the last good copy.

        Raise `BadDefinitions` if those of the store are invalid and there is no copy, `CannotRead` if neither can be
        read, and `CannotReadEnvironment` if the environment file cannot be read.
        """
        try:
            snapshot = await self.load()
            registry = await self.parse(snapshot.files)
        except (CannotRead, BadDefinitions) as error:
            if self._last_good is None:
                raise
            return await self._start_with_copy(self._last_good, error)
        await self.save_copy(snapshot)
        return registry, ReloadResult(utc_now(), "start", True, snapshot.revision)

    async def _start_with_copy(
        self, last_good: LastGoodFile, failure: CannotRead | BadDefinitions
    ) -> tuple[Registry, ReloadResult]:
        mistakes = tuple(failure.mistakes) if isinstance(failure, BadDefinitions) else ()
        try:
            copy = await last_good.read()
        except CannotUseCopy as error:
            raise failure if mistakes else CannotRead(f"{failure}\nand {error}") from None
        rejected_with = self._rejected_with
        try:
            registry = await self.parse(copy.snapshot.files)
        except BadDefinitions as error:
            raise CannotRead(f"{failure}\nand the last good copy is invalid too:\n{error}") from None
        self._rejected_with = rejected_with
        fallback = f"running on the last good copy of {copy.saved_at:%Y-%m-%dT%H:%M:%SZ}"
        reason = fallback if mistakes else f"{failure}; {fallback}"
        result = ReloadResult(
            utc_now(),
            "start",
            False,
            copy.snapshot.revision,
            mistakes=mistakes,
            error=reason,
            is_retrying=failure.is_transient,
        )
        return registry, result

    async def save_copy(self, snapshot: Snapshot) -> None:
        """Replace the last good copy with this snapshot, if the store needs one."""
        if self._last_good is not None:
            await self._last_good.write(snapshot)

    async def load(self) -> Snapshot:
        """Read the store; see `Store.load`."""
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                return await self.store.load()
        except TimeoutError:
            raise CannotRead(f"{self.store.location}: no response within {_LOAD_SECONDS:g} s") from None

    async def parse(self, files: Mapping[str, str]) -> Registry:
        """Parse the texts of files in a thread; raise `BadDefinitions` or `CannotReadEnvironment`."""
        return await run_in_thread(lambda: self._parse(files))

    async def has_environment_changed(self) -> bool:
        """Return whether a variable or file differs from those with which definitions were rejected last."""
        return await run_in_thread(self._has_environment_changed)

    def _parse(self, files: Mapping[str, str]) -> Registry:
        variables: Variables | None = None
        try:
            variables = self._environment.read()
            with without_garbage_collection():
                registry = self._transform(self._parser.parse(files, variables))
        except (BadDefinitions, CannotReadEnvironment) as error:
            if variables is not None:
                variables.forget_tracebacks()
            self._rejected_with = str(error) if variables is None else variables
            raise
        self._rejected_with = None
        return registry

    def _has_environment_changed(self) -> bool:
        former = self._rejected_with
        try:
            current = self._environment.read()
        except CannotReadEnvironment as error:
            return former != str(error)
        return not isinstance(former, Variables) or former.has_changed(current)
