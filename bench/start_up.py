"""How long does it take from the start of the process to the first signature? `python -m bench.start_up`

The figures are the median and the minimum of several starts with ten apps, for the role of an instance and for a role
assumed with an AccessKey.
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
from bench.bounds import Bound, as_json, bounds_table, compare
from bench.contenders import open_app_request
from bench.errors import CannotMeasure
from bench.http_client import send
from bench.processes import ENVIRON, ROOT, Cloud, local_cloud, running
from bench.results import write_result
from bench.rounds import Rows
from bench.tables import Table

STARTS = 7
_RETRY_SECONDS = 0.002
_TIMEOUT_SECONDS = 60.0

BOUNDS = (Bound("start to first signature, s", lambda rows: rows["ecs_ram_role"]["median_seconds"], max_value=0.8),)


def main(_arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    try:
        rows = measure(STARTS)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    cells = [(kind, f"{row['median_seconds']:.3f}", f"{row['min_seconds']:.3f}") for kind, row in rows.items()]
    table = Table(("start to first signature", "median s", "min s"), cells)
    sys.stdout.write(table.text() + bounds_table(compare(BOUNDS, rows)).text())
    write_result("start_up", {"starts": STARTS, "rows": rows, "bounds": as_json(BOUNDS, rows)})
    return 0


def measure(starts: int) -> Rows:
    """Return the times for each type of credential."""
    rows = {}
    with local_cloud() as cloud, tempfile.TemporaryDirectory() as directory:
        for kind, text in _definitions(cloud).items():
            config = Path(directory) / f"{kind}.yaml"
            config.write_text(text, encoding="utf-8")
            _seconds_to_first_signature(config)  # compiles the modules
            seconds = [_seconds_to_first_signature(config) for _ in range(starts)]
            rows[kind] = {"median_seconds": median(seconds), "min_seconds": min(seconds)}
    return rows


def _definitions(cloud: Cloud) -> dict[str, str]:
    instance = definitions.usual(cloud)
    assumed = f"type: assume_role, role_arn: acs:ram::1234567890123456:role/oss-upload, endpoint: {cloud.sts}"
    return {
        "ecs_ram_role": instance,
        "assume_role": instance.replace(f"type: ecs_ram_role, endpoint: {cloud.metadata}", assumed),
    }


def _seconds_to_first_signature(config: Path) -> float:
    started = time.perf_counter()
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
        while time.perf_counter() - started < _TIMEOUT_SECONDS:
            try:
                send(open_app_request(public).url, accepted=(200,))
            except CannotMeasure:  # there is no credential yet
                time.sleep(_RETRY_SECONDS)
                continue
            return time.perf_counter() - started
    raise CannotMeasure("the signer does not sign")


if __name__ == "__main__":
    sys.exit(main())
