"""Loads and parses the definitions of a store, with the last good copy as fallback at start."""

import asyncio
from collections.abc import Callable, Mapping

from signer.clock import utc_now
from signer.definitions.mistakes import BadDefinitions
from signer.definitions.parser import Parser
from signer.definitions.registry import Registry
from signer.environment import Environment
from signer.garbage_collection import without_garbage_collection
from signer.live.last_good import LastGoodFile
from signer.live.reload_result import ReloadResult
from signer.stores.protocol import CannotRead, Snapshot, Store


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
        copy = await last_good.read()
        mistakes = tuple(failure.mistakes) if isinstance(failure, BadDefinitions) else ()
        if copy is None and mistakes:
            raise failure
        if copy is None:
            raise CannotRead(f"{failure}\nand there is no last good copy: {last_good.path}")
        try:
            registry = await self.parse(copy.snapshot.files)
        except BadDefinitions as error:
            raise CannotRead(f"{failure}\nand the last good copy is invalid too:\n{error}") from None
        fallback = f"running on the last good copy of {copy.saved_at:%Y-%m-%dT%H:%M:%SZ}"
        reason = fallback if mistakes else f"{failure}; {fallback}"
        result = ReloadResult(utc_now(), "start", False, copy.snapshot.revision, mistakes=mistakes, error=reason)
        return registry, result

    async def save_copy(self, snapshot: Snapshot) -> None:
        """Replace the last good copy with this snapshot, if the store needs one."""
        if self._last_good is not None:
            await self._last_good.write(snapshot)

    async def load(self) -> Snapshot:
        """Read the store; see `Store.load`."""
        return await self.store.load()

    async def parse(self, files: Mapping[str, str]) -> Registry:
        """Parse the texts of files in a thread; raise `BadDefinitions` or `CannotReadEnvironment`."""

        def parse() -> Registry:
            with without_garbage_collection():
                return self._transform(self._parser.parse(files, self._environment.read()))

        return await asyncio.to_thread(parse)
