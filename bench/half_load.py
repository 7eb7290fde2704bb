"""Does it grow? `python -m bench.half_load --seconds 600`

Full load is what the signer bears of a mix of its endpoints; then it gets half of that for as long as it is told, and
its memory and open files are read again and again. What counts is how much more it has in the last quarter than in the
second: the first is for caches to fill.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import definitions
from bench.consumption import memory_mib
from bench.contenders import open_target, uploads_target
from bench.load import Load, Target, wrk, wrk_program
from bench.processes import SERVER_CORE, CannotMeasure, local_cloud, signer
from bench.results import write_result
from bench.table import table

MOST_GROWTH = 0.01
_CONNECTIONS = 64
_EVERY_SECONDS = 1.0
_TRIAL_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    memory_mib: float
    files: int


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.half_load", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="default: 600")
    options = parser.parse_args(arguments)
    try:
        wrk_program()
        return _run(options.seconds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(seconds: int) -> int:
    with local_cloud() as cloud, signer(definitions.usual(cloud), core=SERVER_CORE) as running:
        targets = [open_target(running.public), uploads_target(running.public)]
        full = sum(each.requests_per_second for each in _side_by_side(targets, _TRIAL_SECONDS, 0))
        # So many connections with so long a pause would ask half as often, if answers came at once.
        pause_milliseconds = max(1, round(1000 * len(targets) * _CONNECTIONS / (full / 2)))
        trial = sum(each.requests_per_second for each in _side_by_side(targets, _TRIAL_SECONDS, pause_milliseconds))
        pause_milliseconds = max(1, int(pause_milliseconds * trial / (full / 2)))
        samples: list[Sample] = []
        with _sampled(lambda: _sample(running.pid), samples):
            loads = _side_by_side(targets, seconds, pause_milliseconds)
    half = sum(each.requests_per_second for each in loads)
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    growth = median(each.memory_mib for each in after) / median(each.memory_mib for each in before) - 1
    files = max(each.files for each in after) - max(each.files for each in before)
    failed = sum(each.failed for each in loads)
    met = growth < MOST_GROWTH and files <= 0 and failed == 0
    rows = [
        ("full load, requests/s", f"{full:,.0f}"),
        ("load, requests/s", f"{half:,.0f} ({half / full:.0%} of full)"),
        ("requests", f"{sum(each.requests for each in loads):,}"),
        ("failed", str(failed)),
        ("memory, second quarter, MiB", f"{median(each.memory_mib for each in before):.1f}"),
        ("memory, last quarter, MiB", f"{median(each.memory_mib for each in after):.1f}"),
        ("growth", f"{growth:.2%} (promised: < {MOST_GROWTH:.0%})"),
        ("open files, more than before", str(files)),
    ]
    sys.stdout.write(table((f"{seconds} s at half load", ""), rows))
    write_result(
        "half_load",
        {
            "seconds": seconds,
            "full_requests_per_second": full,
            "requests_per_second": half,
            "failed": failed,
            "growth": growth,
            "more_files": files,
            "met": met,
        },
    )
    return 0 if met else 1


def _side_by_side(targets: Sequence[Target], seconds: int, pause_milliseconds: int) -> list[Load]:
    loads: list[Load] = []

    def load(target: Target) -> None:
        loads.append(wrk(target, seconds=seconds, connections=_CONNECTIONS, pause_milliseconds=pause_milliseconds))

    threads = [threading.Thread(target=load, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(loads) != len(targets):
        raise CannotMeasure("wrk failed")
    return loads


@contextmanager
def _sampled(take: Callable[[], Sample], samples: list[Sample]) -> Iterator[None]:
    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(_EVERY_SECONDS):
            samples.append(take())

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _sample(pid: int) -> Sample:
    return Sample(time.monotonic(), memory_mib(pid), len(list(Path(f"/proc/{pid}/fd").iterdir())))


if __name__ == "__main__":
    sys.exit(main())
