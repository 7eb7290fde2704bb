"""Forms that the signer returns, used for uploads to the local cloud's OSS."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import decode_policy, post_object
from tests.harness.signer import Signer, signer

pytestmark = pytest.mark.asyncio(loop_scope="module")
module_fixture = functools.partial(pytest_asyncio.fixture, loop_scope="module")

WECHAT_APP = "wx1234567890abcdef"
REFERER = f"https://servicewechat.com/{WECHAT_APP}/devtools/page-frame.html"


def definitions(cloud: Cloud) -> str:
    return f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials:
  instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}
  named: {{type: ecs_ram_role, endpoint: "{cloud.metadata}", role_name: oss-uploader}}
  assumed: {{type: assume_role, endpoint: "{cloud.sts}"}}
  narrow: {{type: assume_role, endpoint: "{cloud.sts}", scope: app}}
defaults: {{region: cn-hangzhou, credentials: instance, max_size: 1KiB, key_prefix: '', bucket: photos}}
apps:
  {WECHAT_APP}: {{domain: "{cloud.oss}/photos", key_prefix: photos/}}
  named: {{domain: "{cloud.oss}/photos", credentials: named, key_prefix: named/}}
  assumed: {{domain: "{cloud.oss}/photos", credentials: assumed, key_prefix: assumed/}}
  narrow: {{domain: "{cloud.oss}/photos", credentials: narrow, key_prefix: narrow/}}
  strict:
    domain: "{cloud.oss}/photos"
    key_prefix: 严格/
    key: "{{yyyy}}/{{uuid}}-{{filename}}"
    min_size: 10
    content_types: [image/jpeg, image/png]
    success_status: 201
    headers: {{x-oss-forbid-overwrite: "true", x-oss-storage-class: IA, x-oss-meta-场景: 测试}}
    conditions: [[in, $x-oss-meta-team, [a, b]], [not-in, $cache-control, [no-store]]]
""".replace("x-oss-meta-场景", "x-oss-meta-scene")


@module_fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@module_fixture(scope="module")
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    async with local_cloud(session) as running:
        yield running


@module_fixture(scope="module")
async def running(
    cloud: Cloud, session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Signer]:
    await cloud.create_bucket("photos")
    await cloud.create_bucket("other")
    config = tmp_path_factory.mktemp("uploads") / "signer.yaml"
    config.write_text(definitions(cloud), encoding="utf-8")
    async with signer(session, config) as started:
        yield started


@pytest.mark.parametrize("app", [WECHAT_APP, "named", "assumed", "narrow"])
async def test_an_upload_is_stored_byte_for_byte(
    app: str, running: Signer, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    content = os.urandom(1000)
    form = await running.upload_form(app, {"filename": "照片 1.jpg", "size": len(content)})
    status, body, headers = await post_object(session, form["url"], form["fields"], content, "照片 1.jpg")
    assert status == 200, body
    assert headers["ETag"]
    assert form["key"].endswith("-照片 1.jpg")
    assert form["key"] in [each["key"] for each in await cloud.objects("photos")]
    assert await cloud.content("photos", form["key"]) == content


async def test_uploads_of_clients_that_name_each_file_alike_are_all_stored(
    running: Signer, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    """uni-app and Taro send each file in a browser with one name."""
    contents = [f"file {number}".encode() for number in range(10)]

    async def upload(content: bytes) -> str:
        form = await running.upload_form(WECHAT_APP, {"filename": "file.jpg"})
        status, body, _ = await post_object(session, form["url"], form["fields"], content, "file")
        assert status == 200, body
        key: str = form["fields"]["key"]
        return key

    keys = await asyncio.gather(*map(upload, contents))
    assert [await cloud.content("photos", key) for key in keys] == contents


async def test_one_form_to_reuse_serves_several_files(
    running: Signer, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    form = await running.upload_form(WECHAT_APP, {"reuse": True})
    for name in ("one.jpg", "two.jpg"):
        assert (await post_object(session, form["url"], form["fields"], name.encode(), name))[0] == 200
        assert await cloud.content("photos", form["key_prefix"] + name) == name.encode()


async def test_alibabas_sample_client_works_unchanged(
    running: Signer, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    """A GET without parameters, with the Referer that WeChat sends, then the form that Alibaba's sample builds."""
    async with session.get(f"{running.public}/generate_signature", headers={"Referer": REFERER}) as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        data = await response.json()
    assert all(isinstance(value, str) for name, value in data.items() if name != "fields")
    fields = {
        "key": "photos/exampleobject.jpg",
        "policy": data["policy"],
        "x-oss-signature-version": data["x_oss_signature_version"],
        "x-oss-credential": data["x_oss_credential"],
        "x-oss-date": data["x_oss_date"],
        "x-oss-signature": data["signature"],
        "x-oss-security-token": data["security_token"],
        "success_action_status": "200",
    }
    status, body, _ = await post_object(session, data["host"], fields, b"hello")
    assert status == 200, body
    assert await cloud.content("photos", data["key_prefix"] + "exampleobject.jpg") == b"hello"


Change = Callable[[dict[str, str]], Any]


def without(name: str) -> Change:
    return lambda fields: fields.pop(name)


def with_(name: str, value: str) -> Change:
    return lambda fields: fields.update({name: value})


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        pytest.param(with_("key", "严格/2026/else.jpg"), 403, "AccessDenied", id="key"),
        pytest.param(with_("x-oss-security-token", "CAIS-forged"), 403, "InvalidSecurityToken", id="token"),
        pytest.param(with_("success_action_status", "200"), 403, "AccessDenied", id="success status changed"),
        pytest.param(without("success_action_status"), 403, "AccessDenied", id="success status dropped"),
        pytest.param(with_("x-oss-object-acl", "public-read"), 403, "AccessDenied", id="acl changed"),
        pytest.param(without("x-oss-object-acl"), 403, "AccessDenied", id="acl dropped"),
        pytest.param(with_("x-oss-content-type", "text/html"), 403, "AccessDenied", id="stored type changed"),
        pytest.param(with_("Content-Type", "text/html"), 403, "AccessDenied", id="content type changed"),
        pytest.param(without("Content-Type"), 403, "AccessDenied", id="content type dropped"),
        pytest.param(with_("x-oss-storage-class", "Standard"), 403, "AccessDenied", id="fixed header changed"),
        pytest.param(without("x-oss-forbid-overwrite"), 403, "AccessDenied", id="fixed header dropped"),
        pytest.param(with_("x-oss-meta-team", "c"), 403, "AccessDenied", id="raw in"),
        pytest.param(without("x-oss-meta-team"), 403, "AccessDenied", id="raw in, field dropped"),
        pytest.param(with_("Cache-Control", "no-store"), 403, "AccessDenied", id="raw not-in"),
        pytest.param(with_("x-oss-date", "20200101T000000Z"), 403, None, id="date"),
        pytest.param(with_("x-oss-signature", "0" * 64), 403, "SignatureDoesNotMatch", id="signature"),
        pytest.param(with_("x-oss-signature-version", "OSS2"), 400, "InvalidArgument", id="version"),
    ],
)
async def test_a_form_that_breaks_a_condition_is_rejected(
    change: Change, status: int, code: str | None, running: Signer, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    upload_request = {"filename": "a.jpg", "content_type": "image/jpeg", "size": 20}
    form = await running.upload_form("strict", upload_request)
    good = {**form["fields"], "x-oss-meta-team": "a", "Cache-Control": "max-age=60"}
    before = len(await cloud.objects("photos"))
    response, body, _ = await post_object(session, form["url"], good, b"x" * 20)
    assert response == 201, body
    assert form["key"] in body
    fields = {
        **(await running.upload_form("strict", upload_request))["fields"],
        "x-oss-meta-team": "a",
        "Cache-Control": "max-age=60",
    }
    change(fields)
    response, body, _ = await post_object(session, form["url"], fields, b"x" * 20)
    assert response == status or (code is None and response in (400, 403)), body
    if code is not None:
        assert f"<Code>{code}</Code>" in body
    assert len(await cloud.objects("photos")) == before + 1


@pytest.mark.parametrize(("size", "code"), [(9, "EntityTooSmall"), (1025, "EntityTooLarge")])
async def test_a_file_of_a_wrong_size_is_rejected(
    size: int, code: str, running: Signer, session: aiohttp.ClientSession
) -> None:
    form = await running.upload_form("strict", {"filename": "a.jpg"})
    fields = {**form["fields"], "x-oss-meta-team": "a", "Cache-Control": "max-age=60"}
    status, body, _ = await post_object(session, form["url"], fields, b"x" * size)
    assert (status, f"<Code>{code}</Code>" in body) == (400, True), body


async def test_a_form_is_valid_for_one_bucket(running: Signer, cloud: Cloud, session: aiohttp.ClientSession) -> None:
    form = await running.upload_form(WECHAT_APP, {"filename": "a.jpg"})
    status, body, _ = await post_object(session, f"{cloud.oss}/other", form["fields"], b"x")
    assert (status, "AccessDenied" in body) == (403, True), body


async def test_a_key_outside_the_prefix_is_rejected(running: Signer, session: aiohttp.ClientSession) -> None:
    form = await running.upload_form(WECHAT_APP, {"filename": "a.jpg"})
    for key in ("elsewhere/a.jpg", "photo", "/photos/a.jpg"):
        status, body, _ = await post_object(session, form["url"], {**form["fields"], "key": key}, b"x")
        assert (status, "AccessDenied" in body) in ((403, True), (400, False)), body


async def test_an_existing_object_is_not_overwritten(running: Signer, session: aiohttp.ClientSession) -> None:
    form = await running.upload_form("strict", {"filename": "a.jpg"})
    fields = {**form["fields"], "x-oss-meta-team": "a", "Cache-Control": "max-age=60"}
    assert (await post_object(session, form["url"], fields, b"x" * 20))[0] == 201
    status, body, _ = await post_object(session, form["url"], fields, b"y" * 20)
    assert (status, "FileAlreadyExists" in body) == (409, True), body


async def test_scope_app_narrows_the_token(running: Signer, session: aiohttp.ClientSession) -> None:
    """The session policy of the token forbids keys outside of the prefix."""
    form = await running.upload_form("narrow", {"filename": "a.jpg"})
    policy = decode_policy(form["fields"]["policy"])
    assert ["starts-with", "$key", "narrow/"] in policy["conditions"]
    wide = await running.upload_form("assumed", {"filename": "a.jpg"})
    assert wide["fields"]["x-oss-credential"] != form["fields"]["x-oss-credential"]


async def test_an_expired_form_is_rejected(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """OSS accepts the form, and rejects it once its clock has passed the end of the form."""
    url = await cloud.create_bucket("photos")
    config = tmp_path / "signer.yaml"
    config.write_text(
        f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
credentials: {{instance: {{type: ecs_ram_role, endpoint: "{cloud.metadata}"}}}}
apps: {{a: {{key_prefix: '', bucket: photos, region: cn-hangzhou, domain: "{url}", credentials: instance, expires: 10m}}}}
""",
        encoding="utf-8",
    )
    async with signer(session, config) as started:
        form = await started.upload_form("a", {"filename": "a.jpg"})
        assert (await post_object(session, url, form["fields"], b"x"))[0] == 200
        await cloud.set_faults(oss={"kind": "clock", "offset_seconds": 660})
        status, body, _ = await post_object(session, url, form["fields"], b"x")
        assert (status, "Policy expired" in body) == (403, True), body
