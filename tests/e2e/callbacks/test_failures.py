"""Callbacks while the signer, its queue or the network fails: the client receives 203, and the object is stored."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
from yarl import URL

from tests.e2e.callbacks.callback_signer import CallbackSigner, call_back, callback_signer, upload_with
from tests.e2e.callbacks.notify_server import NotifyServer
from tests.harness.local_cloud import Cloud
from tests.harness.waiting import deadline, wait_until


async def test_a_signer_that_does_not_respond_gives_the_client_203(signer: CallbackSigner, cloud: Cloud) -> None:
    forms = [await signer.form("notified", "a.jpg") for _ in range(3)]
    assert signer.running is not None
    signer.running.process.send_signal(signal.SIGSTOP)
    uploaded = await upload_with(cloud, forms[0])
    assert (uploaded.status, "reply timeout" in uploaded.text) == (203, True), uploaded.text
    await signer.kill()
    uploaded = await upload_with(cloud, forms[1])
    assert (uploaded.status, "can not connect" in uploaded.text) == (203, True), uploaded.text
    assert await cloud.content("photos", "notified/a.jpg") == b"hello"
    await signer.start()
    assert (await upload_with(cloud, forms[2])).status == 200


async def test_a_full_queue_gives_the_client_203_and_is_logged_once(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    app_server.weights = {"error": 1}
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    queue = str(tmp_path / "q.db")
    async with callback_signer(session, cloud, tmp_path, queue, apps, callback_queue_limit=8) as running:
        uploads = [await running.upload("a", f"{number}.jpg") for number in range(5)]
        assert [uploaded.status for uploaded in uploads] == [200, 200, 200, 203, 203]
        assert "Error status : 503." in uploads[3].text
        counts = await running.counts()
        assert (counts["depth"], counts["a queue_full"]) == (3, 2)
        outcomes = [entry["outcome"] for entry in await running.audited_callbacks(5)]
        assert outcomes == ["accepted"] * 3 + ["queue_full"] * 2
        app_server.weights = {"ok": 1}
        await running.wait_for_counts(depth=0)
        assert (await running.upload("a", "5.jpg")).status == 200
        assert running.running is not None
        assert len(running.running.log("callback queue full")) == 1


async def test_one_form_cannot_stop_the_callbacks_of_another_app(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    """Copies of a callback are one event, and forged reports fill only the share of their own app."""
    app_server.weights = {"error": 1}
    apps = {name: {"key_prefix": f"{name}/", "notify": app_server.target} for name in ("a", "b")}
    queue = str(tmp_path / "q.db")
    async with callback_signer(session, cloud, tmp_path, queue, apps, callback_queue_limit=60) as running:
        form = await running.form("a", "1.jpg")
        assert (await upload_with(cloud, form, "1.jpg")).status == 200
        async with session.get(f"{cloud.oss}/-/callbacks") as response:
            [call] = await response.json()
        url = URL(call["url"], encoded=True)
        for _ in range(150):
            async with session.post(url, data=call["body"].encode(), headers=call["headers"]) as response:
                assert response.status == 200
        assert (await running.counts())["depth"] == 1
        # Another customer of OSS can have any body signed, and the client has the URL with the proof of its form.
        statuses = [
            (await call_back(cloud, call["url"], f"bucket=photos&object=a/{number}.jpg"))["status"]
            for number in range(40)
        ]
        assert statuses == [200] * 19 + [503] * 21
        assert (await running.upload("b", "1.jpg")).status == 200


async def test_each_upload_is_an_event_of_its_own(
    signer: CallbackSigner, cloud: Cloud, app_server: NotifyServer
) -> None:
    """Also the same file with the same form: OSS's request id is in the body."""
    for app in ("notified", "json"):
        form = await signer.form(app, "a.jpg")
        for _ in range(2):
            assert (await upload_with(cloud, form)).status == 200
    await wait_until(lambda: len(app_server.acknowledged) == 4)
    assert len({event["id"] for event in app_server.received}) == 4
    assert len({event["callback"]["reqId"] for event in app_server.received}) == 4


async def test_a_redis_that_hangs_gives_the_client_203_before_oss_gives_up(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: NotifyServer, tmp_path: Path
) -> None:
    """The text is that of a response with 503; when OSS gives up, the text is another one."""

    async def never_reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(2**16):
            pass
        writer.close()

    server = await asyncio.start_server(never_reply, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    async with callback_signer(session, cloud, tmp_path, f"redis://127.0.0.1:{port}/0", apps) as running:
        uploaded = await running.upload("a", "1.jpg")
        assert (uploaded.status, "Error status : 503." in uploaded.text) == (203, True), uploaded.text
    server.close()


async def test_a_callback_without_its_body_gets_a_response(signer: CallbackSigner) -> None:
    host, _, port = signer.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/apps/silent/callback HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nbucket="
    writer.write(head.encode())
    async with deadline():
        assert (await reader.readline()).split()[1] == b"503"
    writer.close()
    await signer.wait_for_counts(silent_timeout=1)
