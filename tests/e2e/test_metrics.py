"""The metrics that Prometheus scrapes."""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp

from tests.harness.local_cloud import Cloud
from tests.harness.signer import Samples, signer


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"oss_signer_{name}", frozenset(labels.items())), 0.0)


async def test_metrics_count_requests_and_refreshes_and_show_the_state(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  good: {{type: assume_role, endpoint: "{cloud.sts}"}}
  dead: {{type: ecs_ram_role, endpoint: "http://127.0.0.1:1"}}
defaults: {{key_prefix: '', bucket: photos, region: cn-hangzhou}}
apps:
  a: {{credentials: good, rate_limit: {{per_app: 2/h}}}}
  b: {{credentials: dead}}
""",
        encoding="utf-8",
    )
    async with signer(session, config) as running:
        await running.upload_form("a")
        await running.upload_form("a")
        for path, status in (("a", 429), ("b", 503), ("no-such-app", 404)):
            async with session.post(f"{running.public}/v1/apps/{path}/uploads") as response:
                assert response.status == status
        samples = await running.samples()
    assert value(samples, "signatures_total", app="a", outcome="signed") == 2
    assert value(samples, "signatures_total", app="a", outcome="rate_limited") == 1
    assert value(samples, "rate_limited_total", app="a") == 1
    assert value(samples, "signatures_total", app="b", outcome="credentials_unavailable") == 1
    assert value(samples, "signatures_total", app="", outcome="unknown_app") == 1
    assert value(samples, "credential_refreshes_total", role="good", reason="start", outcome="success") == 1
    assert value(samples, "credential_refreshes_total", role="dead", reason="start", outcome="failure") == 1
    assert 3000 < value(samples, "credential_expiry_timestamp_seconds", role="good") - time.time() < 3700
    assert value(samples, "credential_usable", role="good") == 1
    assert ("oss_signer_credential_usable", frozenset({("role", "dead")})) in samples
    assert value(samples, "credential_usable", role="dead") == 0
    assert value(samples, "config_apps") == 2
    assert value(samples, "request_duration_seconds_count") >= 5
    assert "no-such-app" not in str(samples)
