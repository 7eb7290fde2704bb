"""Callbacks that the signer rejects: forged ones, and ones that no form of the app can cause."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from tests.e2e.callbacks.callback_signer import CallbackSigner, call_back, callback_signer, upload_with
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.local_cloud import Cloud

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
REJECTED = [
    ("silent", "bucket=other&object=silent/2026/a.jpg", FORM, 403),
    ("silent", "bucket=photos&object=notified/a.jpg", FORM, 403),
    ("silent", "bucket=photos&object=silent/2026/", FORM, 403),
    ("silent", "bucket=photos&object=asilent/2026/a.jpg", FORM, 403),
    ("silent", "bucket=photos&object=silent/../2026/a.jpg", FORM, 403),
    ("silent", "bucket=photos", FORM, 400),
    ("silent", "object=silent/2026/a.jpg", FORM, 400),
    ("silent", "bucket=photos&bucket=photos&object=silent/2026/a.jpg", FORM, 400),
    ("silent", "bucket=photos&object=silent/2026/" + "a" * 2000, FORM, 403),
    ("silent", "bucket=photos&object=silent/2026/a.jpg&pad=" + "a" * 70_000, FORM, 413),
    ("silent", "bucket=photos&object=silent/2026/a.jpg", "text/plain", 415),
    ("json", "{", JSON, 403),
    ("notified", "bucket=photos&object=notified/a.jpg", FORM, 403),
    ("unknown", "bucket=photos&object=notified/a.jpg", FORM, 404),
]


async def test_a_callback_that_no_form_of_the_app_can_cause_is_rejected(signer: CallbackSigner, cloud: Cloud) -> None:
    for app, body, body_type, status in REJECTED:
        called = await call_back(cloud, signer.callback_url(app), body, body_type)
        assert called["status"] == status, called
    assert (await signer.counts())["depth"] == 0
    called = await call_back(cloud, signer.callback_url("silent"), "bucket=photos&object=silent/2026/a.jpg")
    assert called["status"] == 200, "without a proof, another customer's callback cannot be recognized"
    assert [entry["key"] for entry in await signer.audited_callbacks(1)] == ["silent/2026/a.jpg"]


def callback_url_of(form: dict[str, dict[str, str]]) -> str:
    url: str = json.loads(base64.b64decode(form["fields"]["callback"]))["callbackUrl"]
    return url


async def test_without_the_proof_of_a_form_a_callback_is_rejected(signer: CallbackSigner, cloud: Cloud) -> None:
    form = await signer.form("notified", "a.jpg")
    assert (await upload_with(cloud, form)).status == 200
    url = callback_url_of(form)
    body = "bucket=photos&object=notified/a.jpg"
    assert (await call_back(cloud, url, body))["status"] == 200, "a client with a form can lie about its own object"
    for other in (url.replace("proof=", "proof=0"), url.partition("&")[0], signer.callback_url("notified")):
        assert (await call_back(cloud, other, body))["status"] == 403
    other_app = url.replace("/notified/", "/json/")
    json_body = '{"bucket": "photos", "object": "notified/a.jpg"}'
    assert (await call_back(cloud, other_app, json_body, JSON))["status"] == 403
    for other_object in ("bucket=photos&object=anotified/a.jpg", "bucket=other&object=notified/a.jpg"):
        assert (await call_back(cloud, url, other_object))["status"] == 403


async def test_after_a_change_of_the_secret_only_new_forms_are_accepted(
    signer: CallbackSigner, cloud: Cloud, app_server: NotifyServer
) -> None:
    form = await signer.form("notified", "a.jpg")
    signer.apps["notified"]["notify"] = {**app_server.target, "secret": "another-secret-of-both"}
    await signer.reload()
    assert (await upload_with(cloud, form)).status == 203
    assert (await signer.upload("notified", "a.jpg")).status == 200


async def test_a_changed_callback_is_rejected(
    signer: CallbackSigner, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    """An unchanged one gets the same response again, and is not another event."""
    assert (await signer.upload("notified", "a.jpg")).status == 200
    async with session.get(f"{cloud.oss}/-/callbacks") as response:
        [call] = await response.json()
    url, headers, body = call["url"], call["headers"], call["body"]

    async def send(to: str = url, changed: dict[str, str] | None = None, data: str = body, without: str = "") -> int:
        chosen = {name: value for name, value in {**headers, **(changed or {})}.items() if name != without}
        async with session.post(URL(to, encoded=True), data=data.encode(), headers=chosen) as response:
            expected = "application/json" if response.status == 200 else "application/problem+json"
            assert response.content_type == expected
            return response.status

    assert await send() == 200
    assert await send(data=body.replace("notified%2Fa", "notified%2Fb")) == 403
    assert await send(signer.callback_url("silent")) == 403
    assert await send(url + "&a=1") == 403
    assert await send(without="Authorization") == 401
    assert await send(without="x-oss-pub-key-url") == 401
    assert await send(changed={"Authorization": "AAAA"}) == 403
    key_on_another_host = "aHR0cHM6Ly9nb3NzcHVibGljLmFsaWNkbi5jb21AZXZpbC5leGFtcGxlL2sucGVt"
    assert await send(changed={"x-oss-pub-key-url": key_on_another_host}) == 403
    async with session.get(url) as response:
        assert response.status == 405
    counts = await signer.counts()
    assert (counts["notified accepted"], counts["notified repeated"]) == (1, 1)


async def test_a_callback_whose_path_a_proxy_changed_is_verified_by_the_configured_url(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    """OSS signs the path that it calls, and another one arrives."""
    targets: list[CallbackSigner] = []

    async def forward(request: web.Request) -> web.Response:
        url = URL(f"{targets[0].callback_url('a')}?{request.url.raw_query_string}", encoded=True)
        async with session.post(url, data=await request.read(), headers=request.headers) as response:
            return web.Response(body=await response.read(), status=response.status)

    proxy = web.AppRunner(web.Application())
    proxy.app.router.add_post("/{tail:.*}", forward)
    await proxy.setup()
    await web.TCPSite(proxy, "127.0.0.1", 0).start()
    address = "http://127.0.0.1:{1}".format(*proxy.addresses[0])
    apps = {"a": {"key_prefix": "a/", "url": f"{address}/oss/uploaded", "notify": app_server.target}}
    async with callback_signer(session, cloud, tmp_path, str(tmp_path / "q.db"), apps) as running:
        targets.append(running)
        form = await running.form("a", "1.jpg")
        assert (await upload_with(cloud, form, "1.jpg")).status == 200
        other_path = callback_url_of(form).replace("/oss/uploaded", "/oss/other")
        assert (await call_back(cloud, other_path, "bucket=photos&object=a/1.jpg"))["status"] == 403
    await proxy.cleanup()
