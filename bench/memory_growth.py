"""Does the signer's memory grow under load? `python -m bench.memory_growth --seconds 600`

Full load is the throughput of a mix of endpoints. Then the signer gets half of it, while its memory and its open files
are sampled. Growth is the difference between the second and the last quarter: in the first, caches fill.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from bench import definitions
from bench.bounds import Bound, as_json, bounds_table, compare
from bench.contenders import open_app_request, upload_request
from bench.errors import CannotMeasure
from bench.process_usage import memory_mib, open_files
from bench.processes import SERVER_CORE, local_cloud, signer
from bench.results import write_result
from bench.tables import Table
from bench.wrk import Load, Target, check_wrk, wrk

_CONNECTIONS = 64
_SAMPLE_SECONDS = 1.0
_TRIAL_SECONDS = 5

BOUNDS = (
    Bound("growth of memory, %", lambda figures: figures["growth_percent"], max_value=1),
    Bound("additional open files", lambda figures: figures["additional_files"], max_value=0),
    Bound("failed requests", lambda figures: figures["failed"], max_value=0),
)

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process has at one moment."""

    memory_mib: float
    files: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 if a bound is not met."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory_growth", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="default: 600")
    options = parser.parse_args(arguments)
    try:
        check_wrk()
        figures = measure(options.seconds)
    except CannotMeasure as error:
        sys.stderr.write(f"{error}\n")
        return 1
    results = compare(BOUNDS, figures)
    rows = [(name.replace("_", " "), f"{value:,.2f}") for name, value in figures.items()]
    head = Table((f"{options.seconds} s at half load", ""), rows)
    sys.stdout.write(head.text() + bounds_table(results).text())
    write_result("memory_growth", {"run_seconds": options.seconds, "rows": figures, "bounds": as_json(BOUNDS, figures)})
    return 0 if all(result.is_met for result in results) else 1


def measure(seconds: int) -> Figures:
    """Return the figures of a run at half load."""
    with local_cloud() as cloud, signer(definitions.usual(cloud), core=SERVER_CORE) as running:
        targets = [open_app_request(running.public), upload_request(running.public)]
        full = _requests_per_second(_side_by_side(targets, _TRIAL_SECONDS, 0))
        # With this pause the connections would send half as many requests if responses took no time.
        pause_milliseconds = max(1, round(1000 * len(targets) * _CONNECTIONS / (full / 2)))
        trial = _requests_per_second(_side_by_side(targets, _TRIAL_SECONDS, pause_milliseconds))
        pause_milliseconds = max(1, int(pause_milliseconds * trial / (full / 2)))
        samples: list[Sample] = []
        with _sampled(lambda: Sample(memory_mib(running.pid), open_files(running.pid)), samples):
            loads = _side_by_side(targets, seconds, pause_milliseconds)
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [median(sample.memory_mib for sample in each) for each in (second, last)]
    return {
        "full_load_requests_per_second": full,
        "requests_per_second": _requests_per_second(loads),
        "requests": sum(load.requests for load in loads),
        "failed": sum(load.failed for load in loads),
        "memory_mib_in_second_quarter": memory[0],
        "memory_mib_in_last_quarter": memory[1],
        "growth_percent": 100 * (memory[1] / memory[0] - 1),
        "additional_files": max(sample.files for sample in last) - max(sample.files for sample in second),
    }


def _requests_per_second(loads: Sequence[Load]) -> float:
    return sum(load.requests_per_second for load in loads)


def _side_by_side(targets: Sequence[Target], seconds: int, pause_milliseconds: int) -> list[Load]:
    def load(target: Target) -> Load:
        return wrk(target, seconds=seconds, connections=_CONNECTIONS, pause_milliseconds=pause_milliseconds)

    with ThreadPoolExecutor() as threads:
        return list(threads.map(load, targets))


@contextmanager
def _sampled(sample: Callable[[], Sample], samples: list[Sample]) -> Iterator[None]:
    """Append a sample each second inside the block."""
    is_done = threading.Event()

    def run() -> None:
        while not is_done.wait(_SAMPLE_SECONDS):
            samples.append(sample())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
