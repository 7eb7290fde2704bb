"""Where figures are kept: `bench/results/NAME.json`, with the machine they are of."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parent / "results"


def write_result(name: str, figures: dict[str, Any]) -> None:
    machine = {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}
    when = datetime.now(UTC).isoformat(timespec="seconds")
    DIRECTORY.mkdir(exist_ok=True)
    text = json.dumps({"at": when, "machine": machine, **figures}, indent=2)
    (DIRECTORY / f"{name}.json").write_text(text + "\n", encoding="utf-8")
