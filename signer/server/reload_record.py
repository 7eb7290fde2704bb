"""The file in which a signer leaves its process id, its admin address, and the result of its last reload by signal.

The commands `reload` and `refresh` read it. `reload` has to start fast, so this imports only the standard library.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReloadRecord:
    """The content of the file."""

    pid: int
    admin_url: str = ""
    reload_started_at: float = 0.0
    """When the last reload by signal started, by the system's monotonic clock; 0 before the first one."""
    succeeded: bool = True
    lines: list[str] = field(default_factory=list)
    """What the reload changed, or why it was rejected."""

    @staticmethod
    def path(directory: Path, worker: int | None) -> Path:
        """Return the path of a worker's file; None is the only signer of a machine."""
        return directory / f"worker-{worker or 1}.json"

    @staticmethod
    def paths(directory: Path) -> list[Path]:
        """Return the paths of the files of all workers; raise PermissionError if the directory cannot be read."""
        try:
            found = [path for path in directory.iterdir() if path.match("worker-*.json")]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def write(self, path: Path) -> None:
        """Replace the file in one step; raise OSError where that fails."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> ReloadRecord:
        """Return the content of the file; raise OSError, or ValueError or TypeError for another content."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
