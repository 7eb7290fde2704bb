"""Presigned PUTs of a real signer, judged by the local cloud's OSS: what the signature allows, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from tests.callers.stub import Stub, stub
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.signer import Signer, signer

pytestmark = pytest.mark.asyncio(loop_scope="module")

API_KEY = "the-key-of-a-backend"
PHOTO = b"\xff\xd8 a photo"
REQUEST = {"method": "PUT", "filename": "cat.jpg", "content_type": "image/jpeg", "size": len(PHOTO)}


def definitions(cloud: Cloud, receiver: Stub) -> str:
    body = "key=${object}&size=${size}&order=${x:order}&other=${x:other}"
    return f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{assumed: {{type: assume_role, endpoint: "{cloud.sts}", scope: app}}}}
defaults:
  {{region: cn-hangzhou, credentials: assumed, max_size: 1KiB, key_prefix: '', bucket: photos, domain: "{cloud.oss}/photos"}}
apps:
  open: {{key_prefix: open/}}
  strict:
    key_prefix: 严格/
    key: "{{uuid}}.{{ext}}"
    min_size: 3
    content_types: [image/jpeg, image/png]
    meta: [team]
    headers: {{x-oss-object-acl: public-read, x-oss-storage-class: IA, Cache-Control: max-age=60, x-oss-meta-origin: app}}
  once: {{key_prefix: once/, key: "{{filename}}", headers: {{x-oss-forbid-overwrite: "true"}}}}
  calling: {{key_prefix: calling/, callback: {{url: "{receiver.url}/done", body: "{body}"}}}}
  ordering:
    key_prefix: ordering/
    conditions: [[starts-with, "$x:order", "4"]]
    callback: {{url: "{receiver.url}/done", body: "{body}"}}
  users:
    key_prefix: "users/{{caller}}/"
    callers: {{type: api_key, keys: {{backend: {sha256(API_KEY.encode()).hexdigest()}}}}}
"""


class Sent(NamedTuple):
    status: int
    code: str
    """OSS's Code of an error."""
    body: str


class Puts:
    """Requests PUTs from a signer and sends them."""

    def __init__(self, running: Signer, cloud: Cloud, bodies: list[str]) -> None:
        self._running, self._session = running, running.session
        self.cloud = cloud
        self.callback_bodies = bodies

    async def post(self, app: str, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
        url = f"{self._running.public}/v1/apps/{app}/uploads"
        async with self._session.post(url, json=body, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def signed(self, app: str, **changes: Any) -> dict[str, Any]:
        status, signed = await self.post(app, {**REQUEST, **changes})
        assert status == 201, signed
        return signed

    async def send(
        self,
        signed: dict[str, Any],
        content: bytes = PHOTO,
        *,
        changes: Mapping[str, str | None] | None = None,
        method: str = "PUT",
        url: str | None = None,
    ) -> Sent:
        """Send a file. `changes` replaces headers, and drops those with None."""
        lower = {name.lower(): value for name, value in (changes or {}).items()}
        headers = {**{name.lower(): value for name, value in signed["headers"].items()}, **lower}
        # HTTP clients set the length themselves.
        kept = {name: value for name, value in headers.items() if value is not None and name != "content-length"}
        async with self._session.request(
            method,
            URL(url or signed["url"], encoded=True),
            data=content,
            headers=kept,
            skip_auto_headers=["Content-Type"],
        ) as response:
            text = await response.text()
            code = re.search("<Code>(.*)</Code>", text)
            return Sent(response.status, "" if code is None else code[1], text)

    async def stored(self, key: str) -> dict[str, Any] | None:
        return next((each for each in await self.cloud.objects("photos") if each["key"] == key), None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def puts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Puts]:
    bodies: list[str] = []

    async def receive(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.text())
        return web.json_response({"id": 7})

    config = tmp_path_factory.mktemp("put") / "signer.yaml"
    async with (
        aiohttp.ClientSession() as session,
        local_cloud(session, "--bucket", "photos=cn-hangzhou") as cloud,
        stub(receive) as receiver,
    ):
        config.write_text(definitions(cloud, receiver), encoding="utf-8")
        async with signer(session, config) as running:
            yield Puts(running, cloud, bodies)


async def test_a_file_is_stored_with_what_the_app_fixes(puts: Puts) -> None:
    signed = await puts.signed("strict", meta={"team": "red"})
    assert list(signed) == ["method", "url", "headers", "key", "expires_at"]
    assert (signed["method"], signed["headers"]["Content-Length"]) == ("PUT", str(len(PHOTO)))
    assert re.fullmatch("严格/[0-9a-f]{32}\\.jpg", signed["key"])
    assert (await puts.send(signed)).status == 200
    stored = await puts.stored(signed["key"])
    assert stored is not None
    assert (stored["size_bytes"], stored["content_type"], stored["acl"]) == (len(PHOTO), "image/jpeg", "public-read")
    assert stored["storage_class"] == "IA"
    expected = {"x-oss-meta-team": "red", "x-oss-meta-origin": "app", "Cache-Control": "max-age=60"}
    assert {name: stored["headers"].get(name.lower()) for name in expected} == expected


async def test_a_put_has_a_new_key_where_the_client_names_the_object(puts: Puts) -> None:
    first, second = await puts.signed("open"), await puts.signed("open")
    assert first["key"] != second["key"]
    assert re.fullmatch("open/[0-9a-f]{32}-cat.jpg", first["key"])
    assert {"x-oss-object-acl": "default", "x-oss-storage-class": "Standard"}.items() <= first["headers"].items()


async def test_files_of_a_batch_can_be_forms_and_puts(puts: Puts) -> None:
    form = {**REQUEST, "method": "POST"}
    status, document = await puts.post("open", {"files": [form, REQUEST, {**REQUEST, "size": 2000}], "compact": True})
    assert status == 200
    _, signed, problem = document["uploads"]
    assert [each.get("method") for each in document["uploads"]] == ["POST", "PUT", None]
    assert problem["code"] == "too_large"
    assert (await puts.send(signed)).status == 200
    status, document = await puts.post("open", {"files": [REQUEST], "compact": True})
    assert document["common_fields"] == {}


async def test_the_callback_belongs_to_the_object_and_has_the_variables_of_the_request(puts: Puts) -> None:
    signed = await puts.signed("calling", vars={"order": "4 & 5"})
    sent = await puts.send(signed)
    assert (sent.status, sent.body) == (200, '{"id": 7}')
    key = signed["key"].replace("/", "%2F")
    assert puts.callback_bodies[-1] == f"key={key}&size={len(PHOTO)}&order=4%20%26%205&other="


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"size": None}, "invalid_request", "size is missing"),
        ({"content_type": None}, "invalid_request", "content_type is missing"),
        ({"content_type": "image/jpeg\r\nx-oss-object-acl: public-read-write"}, "invalid_request", "content_type is"),
        (
            {"content_type": "text/html"},
            "unsupported_type",
            "text/html is not allowed; this app allows image/jpeg, image/png",
        ),
        ({"size": 1025}, "too_large", "the file has 1025 bytes; this app allows at most 1024"),
        ({"size": 2}, "invalid_request", "the file has 2 bytes; this app needs at least 3"),
        ({"reuse": True}, "invalid_request", "reuse is for forms"),
        ({"meta": {"origin": "me"}}, "invalid_request", "meta: this app does not allow 'origin'"),
        ({"meta": {"team": "a\r\nx-oss-tagging: b"}}, "invalid_request", "meta.team contains a control character"),
        ({"meta": {"team": "红"}}, "invalid_request", "x-oss-meta-team has characters that no HTTP header can carry"),
        ({"vars": {"order": "1"}}, "invalid_request", "vars are for the upload callback"),
    ],
)
async def test_what_the_app_does_not_allow_is_refused(
    puts: Puts, changes: dict[str, Any], code: str, detail: str
) -> None:
    status, problem = await puts.post("strict", {**REQUEST, **changes})
    assert (problem["code"], status) == (code, problem["status"])
    assert problem["detail"].startswith(detail)


async def test_a_condition_on_a_variable_holds(puts: Puts) -> None:
    status, problem = await puts.post("ordering", {**REQUEST, "vars": {"order": "5"}})
    assert (status, problem["detail"]) == (
        400,
        "x:order does not meet a condition of this app; send another value in vars",
    )
    assert (await puts.send(await puts.signed("ordering", vars={"order": "45"}))).status == 200


@pytest.mark.parametrize(
    "filename", ["../bob/a.jpg", "users/bob/a.jpg", "..\\bob\\a.jpg", "a?x-oss-acl=1#b", "%2e%2e/b"]
)
async def test_a_file_name_does_not_leave_the_prefix_of_the_caller(puts: Puts, filename: str) -> None:
    headers = {"X-Api-Key": API_KEY, "X-Caller": "ann"}
    status, signed = await puts.post("users", {**REQUEST, "filename": filename}, **headers)
    assert status == 201
    assert signed["key"].startswith("users/ann/") and signed["key"].count("/") == 2
    assert (await puts.send(signed)).status == 200
    assert await puts.stored(signed["key"]) is not None


async def refused(puts: Puts, app: str, expected: str = "SignatureDoesNotMatch", **attack: Any) -> None:
    """Assert that OSS refuses a changed request, accepts the signed one, and stores nothing but that."""
    signed = await puts.signed(app)
    if "query" in attack:
        attack["url"] = signed["url"] + attack.pop("query")
    sent = await puts.send(signed, **attack)
    assert (sent.code, await puts.stored(signed["key"])) == (expected, None)
    assert (await puts.send(signed)).status == 200


@pytest.mark.parametrize("content", [PHOTO + b"!", PHOTO[:-1], b"", PHOTO * 1000])
async def test_a_file_of_another_size_is_refused(puts: Puts, content: bytes) -> None:
    await refused(puts, "open", content=content)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "text/html"),
        ("Content-Type", "image/jpeg; charset=utf-8"),
        ("Content-Type", None),
        ("x-oss-object-acl", "public-read-write"),
        ("x-oss-object-acl", None),
        ("x-oss-storage-class", "Archive"),
        ("x-oss-storage-class", None),
        ("x-oss-meta-origin", "me"),
        ("x-oss-meta-origin", None),
        ("Cache-Control", "no-store"),
        ("x-oss-meta-other", "new"),
        ("x-oss-tagging", "a=b"),
        ("x-oss-callback", "e30="),
        ("x-oss-forbid-overwrite", "false"),
        ("x-oss-server-side-encryption", "KMS"),
        ("x-oss-symlink-target", "users/bob/a.jpg"),
        ("x-oss-copy-source", "/photos/users/bob/a.jpg"),
        ("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="),
    ],
)
async def test_headers_can_be_neither_changed_nor_dropped_nor_added(puts: Puts, name: str, value: str | None) -> None:
    # Cache-Control is an additional header, which OSS reports if it is missing (EC 0002-00000077).
    is_missing = (name, value) == ("Cache-Control", None)
    expected = "InvalidArgument" if is_missing else "SignatureDoesNotMatch"
    await refused(puts, "strict", expected, changes={name: value})


async def test_a_header_that_the_url_names_cannot_be_dropped(puts: Puts) -> None:
    await refused(puts, "strict", "InvalidArgument", changes={"Cache-Control": None})


@pytest.mark.parametrize(
    "query", ["&x-oss-process=image/info", "&append&position=0", "&acl", "&callback=e30=", "&tagging"]
)
async def test_the_url_accepts_no_further_parameter(puts: Puts, query: str) -> None:
    await refused(puts, "open", query=query)


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "HEAD"])
async def test_the_url_serves_no_other_method(puts: Puts, method: str) -> None:
    signed = await puts.signed("open")
    assert (await puts.send(signed)).status == 200
    assert (await puts.send(signed, method=method)).status >= 400
    assert await puts.stored(signed["key"]) is not None


async def test_the_url_serves_no_other_key(puts: Puts) -> None:
    mine, other = await puts.signed("open"), await puts.signed("open")
    url = mine["url"].replace(urlsplit(mine["url"]).path, urlsplit(other["url"]).path)
    assert (await puts.send(mine, url=url)).code == "SignatureDoesNotMatch"
    assert await puts.stored(other["key"]) is None


async def test_a_replay_overwrites_nothing_where_the_app_forbids_it(puts: Puts) -> None:
    signed = await puts.signed("once")
    assert (await puts.send(signed)).status == 200
    assert (await puts.send(signed, PHOTO[::-1])).code == "FileAlreadyExists"
    assert (await puts.send(await puts.signed("once"))).code == "FileAlreadyExists"
    assert (await puts.send(signed, changes={"x-oss-forbid-overwrite": None})).code == "SignatureDoesNotMatch"


async def test_the_callback_can_be_neither_dropped_nor_replaced(puts: Puts) -> None:
    for changes in ({"x-oss-callback": None}, {"x-oss-callback": "e30="}, {"x-oss-callback-var": "e30="}):
        await refused(puts, "calling", changes=changes)
