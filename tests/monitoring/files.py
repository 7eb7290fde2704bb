"""Reads the files of monitoring/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.monitoring.tools import MONITORING


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads((MONITORING / "oss-signer.dashboard.json").read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    """Return the alert and recording rules."""
    groups = yaml.safe_load((MONITORING / "oss-signer.rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> set[str]:
    """Return the names of the alerts."""
    return {rule["alert"] for rule in rules() if "alert" in rule}


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard with the title of its panel."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
