"""POST /-/reload and the two routes that show its effect: /-/definitions and /metrics."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from signer.clock import utc_now
from tests.admin.conftest import APP, SECRET, Admin, StartAdmin


class Certificate:
    """A certificate whose renewal has a fixed result."""

    def __init__(
        self, error: str | None = None, remaining: timedelta = timedelta(days=60), *, is_retrying: bool = False
    ) -> None:
        self.error = error
        self.expires_at = utc_now() + remaining
        self.is_retrying = is_retrying
        self.renewals: list[str] = []

    async def renew(self, trigger: str) -> None:
        """Record the call."""
        self.renewals.append(trigger)


async def reload(admin: Admin) -> tuple[int, Any]:
    async with admin.client.post("/-/reload") as response:
        return response.status, await response.json()


async def test_reload_returns_the_changes(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    admin.edit(APP.replace("1MiB", "2MiB") + "  b: {}\n")
    status, document = await reload(admin)
    assert (status, document["succeeded"], document["trigger"]) == (200, True, "request")
    assert document["changes"] == ["~ apps.a: max_size 1MiB -> 2MiB", "+ apps.b"]
    assert (document["mistakes"], document["error"], document["needs_restart"]) == ([], None, [])
    assert "certificate_error" not in document
    assert (await admin.get_json("/-/definitions"))["apps.a"]["max_size"] == "2MiB"


async def test_reload_returns_the_mistakes_and_changes_nothing(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    admin.edit(APP.replace("max_size", "max_sise"))
    status, document = await reload(admin)
    assert (status, document["succeeded"], document["changes"]) == (422, False, [])
    [mistake] = document["mistakes"]
    assert mistake["file"] == str(admin.config) and "max_size" in mistake["message"]
    assert (await admin.get_json("/-/definitions"))["apps.a"]["max_size"] == "1MiB"
    async with admin.client.get("/metrics") as response:
        assert "oss_signer_config_last_reload_successful 0.0" in await response.text()


async def test_reload_is_unavailable_without_the_file(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    admin.config.unlink()
    status, document = await reload(admin)
    assert (status, document["succeeded"], document["mistakes"]) == (503, False, [])
    assert "signer.yaml" in document["error"]


async def test_reload_renews_the_certificate_and_returns_its_error(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    admin.reloader.certificate = good = Certificate()
    status, document = await reload(admin)
    assert (status, document["certificate_error"], good.renewals) == (200, None, ["request"])
    admin.reloader.certificate = Certificate("server.tls.key: cannot be read")
    status, document = await reload(admin)
    assert (status, document["succeeded"]) == (422, True)
    assert document["certificate_error"] == "server.tls.key: cannot be read"
    admin.config.unlink()
    assert (await reload(admin))[0] == 503


async def test_get_does_not_reload(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    async with admin.client.get("/-/reload") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_definitions_contain_no_secret(start_admin: StartAdmin) -> None:
    sections = await (await start_admin()).get_json("/-/definitions")
    assert sections["credentials.good"]["access_key_secret"] == "***"
    assert SECRET not in str(sections)


async def test_metrics_include_those_of_the_status_page(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    async with admin.client.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    assert f'oss_signer_config_info{{revision="{admin.reloader.last.revision}"}} 1.0' in text
    assert "oss_signer_event_loop_lag_seconds " in text
    assert "oss_signer_ready 1.0" in text
