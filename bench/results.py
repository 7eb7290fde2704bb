"""Keeps the figures of each part in `bench/results/NAME.json`, with the machine that they were measured on."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parent / "results"


def write_result(name: str, figures: dict[str, Any]) -> None:
    """Write the figures of a part."""
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    DIRECTORY.mkdir(exist_ok=True)
    text = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine, **figures}, indent=2)
    _path(name).write_text(text + "\n", encoding="utf-8")


def read_result(name: str) -> Any:
    """Return the figures of a part.

    Raises:
        FileNotFoundError: It was not measured yet.
    """
    return json.loads(_path(name).read_text(encoding="utf-8"))


def _path(name: str) -> Path:
    return DIRECTORY / f"{name}.json"
