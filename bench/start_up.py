"""From the start of the process to its first signature, with ten apps: `python -m bench.start_up`

The median and the best of some starts, for a role of the machine and for one assumed with an AccessKey.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import definitions
from bench.bounds import Bound, told, verdicts
from bench.processes import ENVIRON, ROOT, CannotMeasure, Cloud, exchange, local_cloud, running
from bench.results import write_result
from bench.table import table

STARTS = 7
_TRY_AGAIN_SECONDS = 0.002
_PATIENCE_SECONDS = 30.0

BOUNDS = (Bound("start to first signature, s", lambda of: of["ecs_ram_role"]["seconds"], most=0.8),)


def main(_arguments: Sequence[str] | None = None) -> int:
    try:
        figures = measure(STARTS)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(report(figures))
    write_result("start_up", {"starts": STARTS, "rows": figures, "bounds": told(BOUNDS, figures)})
    return 0


def measure(starts: int) -> dict[str, dict[str, float]]:
    with local_cloud() as cloud, tempfile.TemporaryDirectory() as directory:
        took: dict[str, list[float]] = {}
        for kind, text in _texts(cloud).items():
            config = Path(directory) / f"{kind}.yaml"
            config.write_text(text, encoding="utf-8")
            _seconds_to_first_signature(config)  # compiles what was not compiled yet
            took[kind] = [_seconds_to_first_signature(config) for _ in range(starts)]
    return {kind: {"seconds": median(each), "best_seconds": min(each)} for kind, each in took.items()}


def _texts(cloud: Cloud) -> dict[str, str]:
    of_machine = definitions.usual(cloud)
    assumed = f"type: assume_role, role_arn: acs:ram::1234567890123456:role/oss-upload, endpoint: {cloud.sts}"
    return {
        "ecs_ram_role": of_machine,
        "assume_role": of_machine.replace(f"type: ecs_ram_role, endpoint: {cloud.metadata}", assumed),
    }


def _seconds_to_first_signature(config: Path) -> float:
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "run.py", "serve", "--config", str(config)], cwd=ROOT, env=ENVIRON, stderr=subprocess.PIPE
    )
    with running(process):
        assert process.stderr is not None
        public = None
        while public is None:
            line = process.stderr.readline()
            if not line:
                raise CannotMeasure("the signer did not start")
            public = json.loads(line).get("public")
        while time.perf_counter() - began < _PATIENCE_SECONDS:
            try:
                exchange(f"{public}/generate_signature?app_id={definitions.OPEN}", accepted=(200,))
            except CannotMeasure:  # no credential yet
                time.sleep(_TRY_AGAIN_SECONDS)
                continue
            return time.perf_counter() - began
    raise CannotMeasure("the signer does not sign")


def report(figures: dict[str, dict[str, float]]) -> str:
    head = ("start to first signature", "median s", "best s")
    rows = [(kind, f"{of['seconds']:.3f}", f"{of['best_seconds']:.3f}") for kind, of in figures.items()]
    bounds = [each.row() for each in verdicts(BOUNDS, figures)]
    return table(head, rows) + table(("bound", "measured", "promised", ""), bounds)


if __name__ == "__main__":
    sys.exit(main())
