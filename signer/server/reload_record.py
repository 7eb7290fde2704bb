"""What a signer leaves in its runtime directory: its process, and how the last reload ended that a signal asked for.

The command `reload` waits for it, so this loads nothing but the standard library.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    pid: int
    began: float = 0.0
    """When the last reload that was asked for by a signal began, by the system's monotonic clock."""
    succeeded: bool = True
    told: list[str] = field(default_factory=list)
    """Its changes, or its mistakes."""

    @staticmethod
    def path(directory: Path, worker: int | None) -> Path:
        return directory / f"worker-{worker or 1}.json"

    def write(self, path: Path) -> None:
        """Raises OSError."""
        written = path.with_suffix(".new")
        written.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        written.replace(path)

    @classmethod
    def read(cls, path: Path) -> Record:
        """Raises OSError and ValueError."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
