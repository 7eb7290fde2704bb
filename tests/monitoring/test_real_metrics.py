"""monitoring/ uses only metrics that running signers expose, and its alerts fire for the troubles of running signers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.harness.files import write
from tests.harness.processes import ROOT
from tests.harness.waiting import wait_until
from tests.monitoring.files import dashboard, queries, rules
from tests.monitoring.scrapes import input_series, rule_test
from tests.monitoring.signers import Fleet, fleet_of_signers
from tests.monitoring.tools import promtool

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = re.compile(r"\b(?:oss_signer|process|python)_\w+")
RECORDED = re.compile(r"oss_signer:[\w:]+")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet_of_signers(tmp_path_factory.mktemp("monitoring")) as fleet:
        yield fleet


async def test_promtool_accepts_the_metrics(fleet: Fleet) -> None:
    for running in (fleet.healthy, fleet.troubled):
        async with running.session.get(f"{running.admin}/metrics") as response:
            text = await response.text()
        assert await promtool("check", "metrics", stdin=text) == ""


async def test_documented_metrics_have_their_labels(fleet: Fleet) -> None:
    found: dict[str, set[str]] = {}
    for scraped in (fleet.scrapes_of_healthy[-1], fleet.scrapes_of_troubled[-1]):
        for name, labels in scraped.values:
            found.setdefault(name.removeprefix("oss_signer_"), set()).update(label for label, _ in labels)
    expected = {
        "signatures_total": {"app", "outcome"},
        "request_duration_seconds_bucket": {"le"},
        "credential_expiry_timestamp_seconds": {"role"},
        "credential_refreshes_total": {"role", "reason", "outcome"},
        "config_last_reload_successful": set(),
        "config_last_reload_success_timestamp_seconds": set(),
        "config_apps": set(),
        "rate_limited_total": {"app"},
        "quota_exceeded_total": {"app"},
        "counted_bytes_total": {"app"},
        "clock_skew_seconds": set(),
        "build_info": {"version", "python"},
        "config_info": {"revision"},
        "ready": set(),
    }
    assert {name: found.get(name) for name in expected} == expected


async def test_unknown_apps_never_become_labels(fleet: Fleet) -> None:
    for path in ("uploads", "callback"):
        async with fleet.healthy.session.post(f"{fleet.healthy.public}/v1/apps/no-such-app-{path}/{path}") as response:
            assert response.status == 404
    async with fleet.healthy.session.get(f"{fleet.healthy.admin}/metrics") as response:
        assert "no-such-app" not in await response.text()


async def test_every_metric_in_use_is_exposed_and_documented(fleet: Fleet) -> None:
    everything = (fleet.scrapes_of_healthy, fleet.scrapes_of_troubled, fleet.scrapes_with_tls)
    exposed = {name for scrapes in everything for name, _ in scrapes[-1].values}
    texts = [*(rule["expr"] for rule in rules()), *(query for _, query in queries())]
    variables = [each["query"] for each in dashboard()["templating"]["list"][1:]]
    texts += [each["query"] for each in variables]
    texts += [each["expr"] for each in dashboard()["annotations"]["list"] if "expr" in each]
    used = {name for text in texts for name in NAME.findall(text)}
    assert len(used) > 20
    assert used - exposed == set()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for text in texts for name in RECORDED.findall(text)} <= recorded
    manual = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in exposed if name.startswith("oss_signer_")}
    assert {name for name in families if f"`{name}" not in manual} == set()


async def test_a_healthy_signer_raises_no_alert(fleet: Fleet, tmp_path: Path) -> None:
    # Its callbacks wait because the app's own server is down, which is another trouble.
    everything = input_series(fleet.scrapes_of_healthy, "healthy:9180")
    series = [each for each in everything if "callback_queue_depth" not in each["series"]]
    # The clients of these apps want more than the limits allow.
    series = [each for each in series if not re.search('app="(small|limited)"', each["series"])]
    write(file := tmp_path / "healthy.yml", rule_test(series, {5: set(), 12: set(), 28: set()}))
    await promtool("test", "rules", str(file))


async def test_each_trouble_raises_its_alert(fleet: Fleet, tmp_path: Path) -> None:
    series = input_series(fleet.scrapes_of_troubled, "troubled:9180")
    at_once = {"OssSignerNotReady", "OssSignerRoleUnusable", "OssSignerClockSkewed", "OssSignerClockWrong"}
    after_some_minutes = at_once | {"OssSignerReloadFailed", "OssSignerFailures", "OssSignerTokenExpiresSoon"}
    late = {"OssSignerRefreshFailing", "OssSignerCallbackBacklog"}
    write(file := tmp_path / "troubled.yml", rule_test(series, {3: at_once, 8: after_some_minutes}))
    await promtool("test", "rules", str(file))
    expected = after_some_minutes | late | {"OssSignerTokenNotReplaced", "OssSignerAppRejected", "OssSignerAppLimited"}
    write(file, rule_test(series, {25: expected}))
    await promtool("test", "rules", str(file))


async def test_a_certificate_that_is_not_renewed_raises_an_alert(fleet: Fleet, tmp_path: Path) -> None:
    series = input_series(fleet.scrapes_with_tls, "tls:9180")
    expected = {"OssSignerCertificateExpires", "OssSignerCertificateRejected"}
    write(file := tmp_path / "tls.yml", rule_test(series, {25: expected}))
    await promtool("test", "rules", str(file))


async def test_a_signer_that_is_down_raises_an_alert(fleet: Fleet, tmp_path: Path) -> None:
    series = input_series(fleet.scrapes_of_healthy, "healthy:9180", gone_after=True)
    write(file := tmp_path / "gone.yml", rule_test(series, {5: {"OssSignerDown"}}))
    await promtool("test", "rules", str(file))


async def test_prometheus_scrapes_each_instance_and_evaluates_every_query_of_the_dashboard(fleet: Fleet) -> None:
    running = fleet.prometheus

    async def counted() -> bool:
        return len(await running.query('count_over_time(up{job="oss-signer"}[1m]) >= 3')) == 3

    await wait_until(counted)
    assert [each["value"][1] for each in await running.query('sum(up{job="oss-signer"})')] == ["3"]
    by_instance = await running.query('oss_signer_signatures_total{app="plain", outcome="signed"}')
    assert len({each["metric"]["instance"] for each in by_instance}) == 2
    empty = []
    for title, query in queries():
        filled = query.replace("$__rate_interval", "1m").replace("$job", "oss-signer").replace("$instance", ".+")
        assert "$" not in filled, title
        if not await running.query(filled):
            empty.append((title, filled))
    assert empty == []

    async def judged() -> bool:
        groups = (await running.get("rules"))["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        assert len(found) == len(rules())
        assert [rule for rule in found if rule["health"] not in ("ok", "unknown")] == []
        pending = {rule["name"] for rule in found if rule.get("state") in ("pending", "firing")}
        return {"OssSignerNotReady", "OssSignerReloadFailed"} <= pending

    await wait_until(judged)
