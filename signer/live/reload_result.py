"""How an attempt to load definitions ended."""

from dataclasses import dataclass
from datetime import datetime

from signer.definitions.mistakes import Mistake


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """The result of the first load at start, or of a reload."""

    at: datetime
    trigger: str
    """`start`, `change`, `retry`, `request` or `SIGHUP`."""
    succeeded: bool
    revision: str
    """Of the definitions that are active afterwards."""
    changes: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    """Why the definitions were rejected."""
    error: str | None = None
    """Why there are no definitions from the store."""
    is_retrying: bool = False
    """Whether the signer tries again on each poll, since the reason may pass without an edit."""
    needs_restart: tuple[str, ...] = ()
    """Settings that differ from those at start and take effect only after a restart."""
