"""Each file of monitoring/ is accepted by its program."""

from __future__ import annotations

import re

from tests.harness.processes import ROOT
from tests.monitoring.files import alerts, dashboard, panels, rules
from tests.monitoring.tools import MONITORING, promtool


async def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    await promtool("check", "config", "prometheus.yml")
    assert f"{len(rules())} rules found" in await promtool("check", "rules", "oss-signer.rules.yml")


async def test_the_unit_tests_of_the_rules_pass_and_cover_every_alert() -> None:
    await promtool("test", "rules", "oss-signer.rules.test.yml")
    text = (MONITORING / "oss-signer.rules.test.yml").read_text(encoding="utf-8")
    assert {name for name in alerts() if name not in text} == set()


def test_every_alert_is_documented() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert {name for name in alerts() if f"`{name}`" not in text} == set()


def test_the_dashboard_is_valid() -> None:
    board = dashboard()
    assert board["id"] is None
    assert board["uid"]
    assert board["title"]
    variables = {each["name"] for each in board["templating"]["list"]}
    assert variables == {"datasource", "job", "instance"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    for panel in panels():
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert re.findall(r"\w+\{(?!job=~\"\$job\", instance=~\"\$instance\")", target["expr"]) == []
