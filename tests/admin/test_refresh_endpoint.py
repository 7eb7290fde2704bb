"""POST /-/refresh: which roles it refreshes, and what it responds for each."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.admin.conftest import APP, APP_WITHOUT_TOKEN, SECRET, Admin, StartAdmin


async def refresh(admin: Admin, query: str = "", body: str | None = None) -> tuple[int, Any]:
    async with admin.client.post(f"/-/refresh{query}", data=body) as response:
        assert SECRET not in await response.text()
        return response.status, await response.json()


async def test_the_outcome_of_each_role_is_returned(start_admin: StartAdmin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "oss_signer.credentials")
    admin = await start_admin(APP + APP_WITHOUT_TOKEN)
    status, document = await refresh(admin)
    assert (status, document["succeeded"]) == (503, False)
    failed, good = document["roles"]
    assert good == {
        "role": "good",
        "outcome": "unchanged",
        "expires_at": None,
        "error": None,
        "next_attempt_at": None,
    }
    assert (failed["role"], failed["outcome"], failed["expires_at"]) == ("gone", "failed", None)
    assert "refused the connection" in failed["error"]
    assert failed["next_attempt_at"].endswith("Z")
    [requested] = [record for record in caplog.records if record.getMessage() == "credential refresh requested"]
    assert (requested.__dict__["role"], requested.__dict__["still_used"]) == (None, False)
    reasons = {
        (record.__dict__["role"], record.__dict__["reason"]) for record in caplog.records if "reason" in vars(record)
    }
    assert {("gone", "forced"), ("good", "forced")} <= reasons


async def test_one_role_is_refreshed(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + APP_WITHOUT_TOKEN)
    status, document = await refresh(admin, "?role=good&keep=true")
    assert (status, [each["role"] for each in document["roles"]]) == (200, ["good"])
    async with admin.client.get("/metrics") as response:
        name = 'oss_signer_credential_refreshes_total{outcome="success",reason="forced",role="good"} 1.0'
        assert name in await response.text()


@pytest.mark.parametrize(
    ("query", "body", "status", "fix"),
    [
        ("?role=goood", None, 404, "did you mean good?"),
        ("?role=", None, 400, "/-/refresh?role=NAME"),
        ("?rol=good", None, 400, "/-/refresh?role=NAME"),
        ("?role=good&role=gone", None, 400, "send it once"),
        ("?role=good&keep=yes", None, 400, "/-/refresh?role=NAME"),
        ("?keep", None, 400, "/-/refresh?role=NAME"),
        ("", '{"role": "good"}', 400, "/-/refresh?role=NAME"),
    ],
)
async def test_what_is_misspelled_refreshes_nothing(
    start_admin: StartAdmin, query: str, body: str | None, status: int, fix: str
) -> None:
    admin = await start_admin()
    answer, problem = await refresh(admin, query, body)
    assert (answer, fix in problem["detail"]) == (status, True)
    async with admin.client.get("/metrics") as response:
        assert 'reason="forced"' not in await response.text()


async def test_without_roles_there_is_nothing_to_refresh(start_admin: StartAdmin) -> None:
    admin = await start_admin("  {}\n")
    assert await refresh(admin) == (200, {"succeeded": True, "roles": []})


async def test_get_does_not_refresh(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    async with admin.client.get("/-/refresh") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
