"""`GET /generate_signature`."""

from __future__ import annotations

import pytest

from tests.api.conftest import ORIGIN, WX_APP, Client, problem_of

PATH = "/generate_signature"
SAMPLE_MEMBERS = {
    "policy",
    "x_oss_signature_version",
    "x_oss_credential",
    "x_oss_date",
    "signature",
    "security_token",
    "host",
    "key_prefix",
    "fields",
    "expires_at",
}


@pytest.mark.parametrize(
    ("query", "headers", "prefix"),
    [
        (f"?app_id={WX_APP}", {}, "wx/"),
        (f"?app_id={WX_APP}", {"X-App-Id": "open"}, "wx/"),
        ("", {"X-App-Id": WX_APP}, "wx/"),
        ("", {"X-App-Id": WX_APP, "Referer": "https://servicewechat.com/open/1/page-frame.html"}, "wx/"),
        ("", {"Referer": f"https://servicewechat.com/{WX_APP}/7/page-frame.html"}, "wx/"),
        ("", {"Referer": f"https://tmaservice.developer.toutiao.com?appid={WX_APP}&version=1.0.0"}, "wx/"),
        ("", {"Referer": f"https://tmaservice.developer.toutiao.com/?appid={WX_APP}&version=1.0.0"}, "wx/"),
        ("", {"Referer": f"https://{WX_APP}.hybrid.alipay-eco.com/{WX_APP}/0.2.1/index.html#pages/index"}, "wx/"),
        ("", {"Referer": f"https://example.com/{WX_APP}/7/page-frame.html"}, ""),
        ("", {}, ""),
    ],
    ids=[
        *("query", "query before header", "header", "header before Referer", "Referer of WeChat", "Referer of Douyin"),
        *("Referer of Douyin with a path", "Referer of Alipay", "another Referer", "default"),
    ],
)
async def test_the_app_is_named_by_query_header_referer_or_default(
    client: Client, query: str, headers: dict[str, str], prefix: str
) -> None:
    async with client.get(PATH + query, headers=headers) as response:
        document = await response.json()
    assert (response.status, document["key_prefix"]) == (200, prefix)
    assert set(document) == SAMPLE_MEMBERS
    assert document.pop("fields") == {}
    assert all(isinstance(value, str) for value in document.values())


async def test_the_key_and_the_callback_are_in_the_response_if_the_app_has_them(client: Client) -> None:
    async with client.get(f"{PATH}?app_id=exact&filename=a.jpg&content_type=image/jpeg&size=1") as response:
        document = await response.json()
    assert document["key"].endswith(".jpg")
    assert document["fields"] == {"x-oss-content-type": "image/jpeg", "key": document["key"]}
    async with client.get(f"{PATH}?app_id=reported") as response:
        document = await response.json()
    assert document["callback"]
    assert document["fields"] == {"callback": document["callback"]}


async def test_what_the_app_fixes_is_in_the_fields(client: Client) -> None:
    fixed = {"x-oss-object-acl": "private", "x-oss-meta-team": "a"}
    for _ in range(2):  # the second response is the kept one
        async with client.get(f"{PATH}?app_id=fixed") as response:
            assert (await response.json())["fields"] == fixed
    for name, content_type in (("a.PNG", "image/png"), ("b.jpg", "image/jpeg")):
        async with client.get(f"{PATH}?app_id=fixed&filename={name}") as response:
            assert (await response.json())["fields"] == {**fixed, "x-oss-content-type": content_type}
    async with client.get(f"{PATH}?app_id=fixed&filename=without-extension") as response:
        assert (await response.json())["fields"] == fixed


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?app_id=unknown", 404, "unknown_app"),
        ("?app_id=%C4%E3", 400, "invalid_request"),
        ("?app_id=exact&filename=%C4%E3.jpg&content_type=image/jpeg", 400, "invalid_request"),
        ("?app_id=exact&filename=a.jpg&content_type=image/%FF", 400, "invalid_request"),
        ("?app_id=exact&app_id=open", 400, "invalid_request"),
        ("?app_id=exact&filename=a.jpg&filename=b.jpg", 400, "invalid_request"),
        ("?app_id=off", 403, "app_disabled"),
        ("?app_id=full-only", 403, "forbidden"),
        ("?app_id=no-credential", 503, "credentials_unavailable"),
        ("?app_id=exact&size=2000000&filename=a.jpg", 413, "too_large"),
        ("?app_id=exact&content_type=image/png&filename=a.jpg", 415, "unsupported_type"),
        ("?app_id=fixed&filename=a.html", 415, "unsupported_type"),
        ("?size=-1", 400, "invalid_request"),
        ("?size=many", 400, "invalid_request"),
        (f"?filename={'a' * 1025}", 400, "invalid_request"),
    ],
)
async def test_a_request_that_breaks_a_rule_gets_a_problem(client: Client, query: str, status: int, code: str) -> None:
    assert (await problem_of(client, "GET", PATH + query, status))["code"] == code


async def test_a_web_page_of_an_allowed_origin_may_read_the_response(client: Client) -> None:
    async with client.get(f"{PATH}?app_id=web", headers={"Origin": ORIGIN}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]
        assert response.headers["Vary"] == "Origin"


async def test_a_preflight_names_the_allowed_method_and_headers(client: Client) -> None:
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    async with client.options(f"{PATH}?app_id=web", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Methods"] == "GET"
        allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
        assert {"X-Session", "X-Requested-With", "Cache-Control"} <= set(allowed)
