"""Upload callbacks over real sockets: OSS calls the signer, which notifies the app's own server."""

from __future__ import annotations

import json
import re

import aiohttp

from tests.e2e.callbacks.callback_signer import CallbackSigner, upload_with
from tests.e2e.callbacks.notify_server import SECRET, NotifyServer
from tests.harness.local_cloud import Cloud
from tests.harness.processes import ROOT
from tests.harness.waiting import wait_until

DOCUMENT = ROOT / "docs/callbacks.md"


async def test_the_client_receives_the_signers_response_and_the_app_is_notified(
    signer: CallbackSigner, app_server: NotifyServer
) -> None:
    uploaded = await signer.upload("notified", "照片 & 1.jpg", content=b"12345", number="a b&c=d/%+照")
    assert (uploaded.status, uploaded.json) == (200, {"ok": True, "key": "notified/照片 & 1.jpg"})
    assert uploaded.headers["ETag"]
    await wait_until(lambda: app_server.acknowledged)
    [event] = app_server.received
    [documented] = re.findall(r"^```json\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert list(event) == list(json.loads(documented))
    assert (event["app"], event["bucket"], event["key"]) == ("notified", "photos", "notified/照片 & 1.jpg")
    assert event["callback"]["size"] == "5"
    assert event["callback"]["number"] == "a b&c=d/%+照"
    [audited] = await signer.audited_callbacks(1)
    assert (audited["app"], audited["key"], audited["outcome"]) == ("notified", "notified/照片 & 1.jpg", "accepted")
    assert audited["event_id"] == event["id"]
    await signer.wait_for_counts(notified_accepted=1, notify_delivered=1, depth=0)


async def test_a_client_of_the_sample_endpoint_has_callbacks_too(
    signer: CallbackSigner, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    """Such a client builds its own form, which OSS rejects without the callback."""
    async with session.get(f"{signer.address}/generate_signature?app_id=notified") as response:
        signature = await response.json()
    fields = {
        "key": "notified/a.jpg",
        "policy": signature["policy"],
        "x-oss-signature-version": signature["x_oss_signature_version"],
        "x-oss-credential": signature["x_oss_credential"],
        "x-oss-date": signature["x_oss_date"],
        "x-oss-signature": signature["signature"],
        "x-oss-security-token": signature["security_token"],
    }
    without = await upload_with(cloud, {"url": signature["host"], "fields": fields})
    assert (without.status, "AccessDenied" in without.text) == (403, True), without.text
    form = {"url": signature["host"], "fields": {**fields, "callback": signature["callback"]}}
    uploaded = await upload_with(cloud, form)
    assert (uploaded.status, uploaded.json["key"]) == (200, "notified/a.jpg"), uploaded.text


async def test_a_json_body_is_accepted(signer: CallbackSigner, app_server: NotifyServer) -> None:
    uploaded = await signer.upload("json", "照片.jpg", who='a"b\\c')
    assert uploaded.status == 200, uploaded.text
    await wait_until(lambda: app_server.acknowledged)
    [event] = app_server.received
    assert event["key"] == "json/照片.jpg"
    assert event["callback"]["bucket"] == "photos"
    assert (event["callback"]["size"], event["callback"]["who"]) == (5, 'a"b\\c')


async def test_a_callback_of_an_app_without_notify_is_only_audited(signer: CallbackSigner) -> None:
    uploaded = await signer.upload("silent", "a.jpg")
    assert uploaded.status == 200, uploaded.text
    assert (await signer.counts())["depth"] == 0
    assert [entry["key"] for entry in await signer.audited_callbacks(1)] == [uploaded.json["key"]]


async def test_no_output_contains_a_secret(signer: CallbackSigner, app_server: NotifyServer) -> None:
    app_server.weights = {"error": 1}
    await signer.upload("notified", "a.jpg")

    async def has_failed() -> bool:
        return bool((await signer.counts()).get("notify failed"))

    await wait_until(has_failed)
    audited = await signer.audited_callbacks(1)
    await signer.stop()
    assert signer.running is not None
    output = "".join(signer.running.output) + str(audited)
    assert '"level": "warning"' in output
    assert SECRET not in output
    assert "sha256=" not in output
