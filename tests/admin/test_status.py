"""/status as JSON and as a page."""

from __future__ import annotations

import pytest

from signer.admin.status.snapshot import APPS_PER_PAGE
from tests.admin.conftest import APP, APP_WITHOUT_TOKEN, SECRET, StartAdmin
from tests.admin.test_reload_endpoint import Certificate
from tests.harness.waiting import wait_until

MARKUP = "<script>alert(1)</script>"
MANY = "".join(f"  app-{number:03}: {{}}\n" for number in range(APPS_PER_PAGE * 2 + 1))

RICH_APP = f"""\
  rich:
    key_prefix: p/{{caller}}/
    downloads: {{expires: 5m}}
    deletes: true
    callers: [{{type: wechat, secret: a-secret}}, {{type: api_key, keys: {{shop: '{"1" * 64}'}}}}]
"""


async def test_json_has_the_state_of_process_roles_and_apps(start_admin: StartAdmin) -> None:
    document = await (await start_admin(APP + APP_WITHOUT_TOKEN)).get_json("/status")
    assert document["version"] and document["python"] and document["host"]
    assert document["worker"] is None
    assert document["pid"] > 0 and document["memory_bytes"] > 0
    assert 0 < document["open_files"] <= document["max_open_files"]
    assert document["uptime_seconds"] >= 0 and document["event_loop_lag_seconds"] >= 0
    assert document["ready"] is False
    assert document["troubles"] == [{"text": "gone: no usable token; 1 app cannot sign", "severe": True}]
    assert [role["role"] for role in document["roles"]] == ["gone", "good"]
    assert document["last_reload"]["trigger"] == "start"
    assert (document["certificate"], document["callback_queue_depth"]) == (None, 0)
    [app, _] = document["busiest_apps"]
    assert app == {
        "id": "a",
        "name": "Photo wall",
        "enabled": True,
        "bucket": "photos",
        "region": "cn-hangzhou",
        "key_prefix": "",
        "signs": "uploads",
        "signed_for": "anyone",
        "role": "good",
        "last_hour": {"signed": 0, "refused": 0, "failed": 0},
    }


async def test_each_app_shows_what_it_signs_for_whom_and_where(start_admin: StartAdmin) -> None:
    admin = await start_admin(RICH_APP)
    document = await admin.get_json("/status")
    [app] = document["busiest_apps"]
    assert app["signs"] == "uploads, downloads, deletes"
    assert app["signed_for"] == "WeChat users, holders of an API key"
    async with admin.client.get("/status", headers={"Accept": "text/html"}) as response:
        page = await response.text()
    for text in (app["signs"], app["signed_for"], "photos/p/{caller}/"):
        assert f">{text}</td>" in page


async def test_requests_count_by_outcome_and_the_busiest_app_is_first(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + "  b: {}\n")
    for outcome in ("signed", "signed", "rate_limited", "internal"):
        admin.service.metrics.count_signature("b", outcome)
    admin.service.metrics.count_signature("", "unknown_app")
    document = await admin.get_json("/status")
    assert [app["id"] for app in document["busiest_apps"]] == ["b", "a"]
    assert document["busiest_apps"][0]["last_hour"] == {"signed": 2, "refused": 1, "failed": 1}
    assert {name: document["last_hour"][name] for name in ("signed", "refused", "failed")} == {
        "signed": 2,
        "refused": 2,
        "failed": 1,
    }


async def test_a_query_selects_apps_and_roles(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + APP_WITHOUT_TOKEN)
    for text in ("GONE", "broken", "Brok"):
        document = await admin.get_json(f"/status?q={text}")
        assert [app["id"] for app in document["busiest_apps"]] == ["broken"], text
        assert (document["matching_apps"], document["apps"]) == (1, 2)
    page = await admin.page("?q=gone")
    assert "1 of 2" in page and "Photo wall" not in page
    page = await admin.page("?q=nothing-like-it")
    assert "No app matches." in page and "No role matches." in page


async def test_apps_are_divided_into_pages(start_admin: StartAdmin) -> None:
    admin = await start_admin(MANY)
    for query, first, count, page in (
        ("", "app-000", APPS_PER_PAGE, 1),
        ("?page=2", "app-050", APPS_PER_PAGE, 2),
        ("?page=3", "app-100", 1, 3),
        ("?page=9", "app-100", 1, 3),
        ("?page=0", "app-000", APPS_PER_PAGE, 1),
        ("?page=x", "app-000", APPS_PER_PAGE, 1),
        ("?page=9999999", "app-000", APPS_PER_PAGE, 1),
    ):
        document = await admin.get_json(f"/status{query}")
        assert (document["page"], document["pages"]) == (page, 3), query
        assert document["busiest_apps"][0]["id"] == first
        assert len(document["busiest_apps"]) == count
    page_text = await admin.page("?q=app&page=2")
    assert "51 to 100 of 101" in page_text
    assert 'href="status?q=app&amp;page=1#apps"' in page_text and 'href="status?q=app&amp;page=3#apps"' in page_text
    first_page = await admin.page()
    assert '<span class="quiet">← previous</span>' in first_page and 'href="status?page=2#apps"' in first_page


async def test_names_are_escaped(start_admin: StartAdmin) -> None:
    page = await (await start_admin(f'  a: {{name: "{MARKUP}"}}\n')).page(f"?q={MARKUP}")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_the_page_shows_the_state_in_words(start_admin: StartAdmin) -> None:
    admin = await start_admin(APP + "  off: {enabled: false}\n")
    assert '<p class="state-line good" id="state">ready</p>' in await admin.page()
    assert '<tr data-key="off" class="off">' in await admin.page()
    admin.edit(APP.replace("max_size", "max_sise"))
    await admin.reloader.reload("change")
    page = await admin.page()
    assert '<p class="state-line warn" id="state">ready, with alerts</p>' in page
    assert "Rejected; the previous definitions stay active" in page and "signer.yaml:" in page
    admin.edit(APP.replace("1MiB", "2MiB"))
    await admin.reloader.reload("SIGHUP")
    page = await admin.page()
    assert "on SIGHUP" in page and "max_size 1MiB -&gt; 2MiB" in page
    admin.config.unlink()
    await admin.reloader.reload("request")
    assert '<p class="reason bad">' in await admin.page()


async def test_the_page_shows_a_role_without_a_token(start_admin: StartAdmin) -> None:
    page = await (await start_admin(APP + APP_WITHOUT_TOKEN)).page()
    assert '<p class="state-line bad" id="state">not ready</p>' in page
    assert '<span class="state bad">no token' in page
    assert '<tr class="error" data-key="gone/error">' in page


async def test_a_log_that_cannot_be_written_shows_how_long_and_how_many_lines_were_lost(
    start_admin: StartAdmin,
) -> None:
    admin = await start_admin(f"{APP}audit: /dev/full\n")
    [writer] = admin.service.line_writers
    writer.add(b"waits\n")
    writer.add(b"does not fit" * 2**22 + b"\n")

    async def blocked_log() -> dict[str, object] | None:
        [log] = (await admin.get_json("/status"))["logs"]
        return log if log["blocked_seconds"] else None

    log = await wait_until(blocked_log)
    assert (log["sink"], log["lines_lost"]) == ("audit", 1)
    assert "<dt>Lost lines of the audit log</dt><dd>1</dd>" in await admin.page()


async def test_changes_beyond_a_hundred_are_counted(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    admin.edit(APP + MANY)
    await admin.reloader.reload("change")
    assert '<li class="quiet">and 1 more</li>' in await admin.page()


async def test_json_has_the_certificate(start_admin: StartAdmin) -> None:
    admin = await start_admin()
    admin.reloader.certificate = Certificate("server.tls.key: cannot be read")
    document = await admin.get_json("/status")
    assert document["certificate"]["error"] == "server.tls.key: cannot be read"
    assert document["certificate"]["expires_at"].endswith("Z")
    assert [trouble["text"] for trouble in document["troubles"]] == [
        "the renewed certificate is not active: server.tls.key: cannot be read"
    ]


@pytest.mark.parametrize(("name", "content_type"), [("status.css", "text/css"), ("status.js", "text/javascript")])
async def test_the_files_of_the_page_are_served(start_admin: StartAdmin, name: str, content_type: str) -> None:
    admin = await start_admin()
    async with admin.client.get(f"/status/{name}") as response:
        assert (response.status, response.content_type) == (200, content_type)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert len(await response.read()) > 1000


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("text/html;q=0.9, application/json;q=0.9", "text/html"),
        ("text/html;q=0", "application/json"),
        ("text/html;q=often", "application/json"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
async def test_accept_selects_page_or_json(start_admin: StartAdmin, accept: str, content_type: str) -> None:
    admin = await start_admin()
    async with admin.client.get("/status", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, content_type)
        assert response.headers["Vary"] == "Accept"
        is_page = content_type == "text/html"
        policy = response.headers.get("Content-Security-Policy", "")
        assert ("default-src 'none'" in policy) is is_page
        assert "unsafe" not in policy
        assert SECRET not in await response.text()
