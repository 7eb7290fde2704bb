"""Scrapes of a running signer as the input of a rule unit test."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.signer import Signer
from tests.monitoring.tools import MONITORING

INTERVAL_SECONDS = 15
LENGTH_SECONDS = 30 * 60
_GROWS = frozenset({"oss_signer_callback_queue_depth"})
"""Gauges that keep growing; other gauges keep their last value, and counters keep their rate."""

Series = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Scrape:
    """The metrics of a signer at one moment."""

    at: float
    values: dict[Series, float]
    counting: frozenset[Series]
    """The series that only grow."""


async def scrape(running: Signer) -> Scrape:
    """Scrape a signer."""
    async with running.session.get(f"{running.admin}/metrics") as response:
        text = await response.text()
    values, counting = {}, set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series = (sample.name, tuple(sorted(sample.labels.items())))
            values[series] = sample.value
            if family.type in ("counter", "histogram"):
                counting.add(series)
    return Scrape(time.time(), values, frozenset(counting))


def input_series(scrapes: list[Scrape], instance: str, *, gone_after: bool = False) -> list[dict[str, str]]:
    """Return the scrapes, continued for half an hour, as input series of promtool.

    promtool's clock starts at 0, so timestamps are relative to the first scrape.

    Args:
        gone_after: The process ended after the last scrape.
    """
    first, last = scrapes[0], scrapes[-1]
    more = LENGTH_SECONDS // INTERVAL_SECONDS
    found = []
    for series, value in last.values.items():
        name, labels = series
        start = first.at if name.endswith(("_timestamp_seconds", "start_time_seconds")) else 0.0
        known = [
            "_" if (each := scrape.values.get(series)) is None else _number(each - start) for scrape in scrapes[:-1]
        ]
        slope = 0.0
        if series in last.counting or name in _GROWS:
            slope = (value - first.values.get(series, 0.0)) / (last.at - first.at) * INTERVAL_SECONDS
        follows = "_" if gone_after else f"{_number(value - start)}{slope:+.6f}x{more}"
        found.append({"series": _named(name, labels, instance), "values": " ".join([*known, follows])})
    up = f"1x{len(scrapes) - 2} {'0' if gone_after else '1'}x{more}"
    return [*found, {"series": _named("up", (), instance), "values": up}]


def _named(name: str, labels: tuple[tuple[str, str], ...], instance: str) -> str:
    target = (("job", "oss-signer"), ("instance", instance))
    return f"{name}{{{', '.join(f'{label}={json.dumps(value)}' for label, value in (*target, *labels))}}}"


def _number(value: float) -> str:
    return f"{value:.6f}"


def rule_test(series: list[dict[str, str]], firing: dict[int, set[str]]) -> str:
    """Return a test file of promtool: at each of these minutes exactly these alerts fire."""
    test: dict[str, Any] = {
        "rule_files": [str(MONITORING / "oss-signer.rules.yml")],
        "evaluation_interval": f"{INTERVAL_SECONDS}s",
        "tests": [
            {
                "interval": f"{INTERVAL_SECONDS}s",
                "input_series": series,
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (count by (alertname) (ALERTS{alertstate="firing"}))',
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
                    }
                    for minute, names in firing.items()
                ],
            }
        ],
    }
    return yaml.safe_dump(test, sort_keys=False, width=10_000)
