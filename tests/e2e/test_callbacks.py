"""Upload callbacks over real sockets: the local cloud's OSS calls the signer, which tells the app's own server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import random
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.e2e.callback_running import (
    SECRET,
    CallbackSigner,
    Told,
    callback_signer,
    form_of,
    send,
    told,
    upload,
)
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.processes import ROOT
from tests.harness.redis_server import redis_server

LONG_SECONDS = 60.0
DOCUMENT = ROOT / "docs/callbacks.md"
JSON_BODY = '{"bucket": ${bucket}, "object": ${object}, "size": ${size}, "who": ${x:who}}'


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while not await true():
            await asyncio.sleep(0.02)


@pytest.fixture
async def app_server() -> AsyncIterator[Told]:
    async with told() as server:
        yield server


@pytest.fixture
async def cloud(session: aiohttp.ClientSession) -> AsyncIterator[Cloud]:
    buckets = ("--bucket", "photos=cn-hangzhou", "--bucket", "other=cn-hangzhou")
    async with local_cloud(session, *buckets, "--callback-seconds", "3.5") as running:
        yield running


@pytest.fixture
async def signer(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: Told, tmp_path: Path
) -> AsyncIterator[CallbackSigner]:
    apps = {
        "told": {"key_prefix": "told/", "notify": app_server.target},
        "json": {
            "key_prefix": "json/",
            "body": JSON_BODY,
            "body_type": "application/json",
            "notify": app_server.target,
        },
        "quiet": {"key_prefix": "quiet/{yyyy}/"},
    }
    async with callback_signer(session, cloud, tmp_path, str(tmp_path / "callbacks.db"), apps) as running:
        yield running


async def test_the_client_gets_our_answer_and_the_app_is_told(signer: CallbackSigner, app_server: Told) -> None:
    answer = await upload(signer, "told", "照片 & 1.jpg", content=b"12345", number="a b&c=d/%+照")
    assert (answer.status, answer.json) == (200, {"ok": True, "key": "told/照片 & 1.jpg"})
    assert answer.headers["ETag"]

    async def was_told() -> bool:
        return bool(app_server.taken)

    await until(was_told)
    [event] = app_server.arrived
    [documented] = re.findall(r"^```json\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert list(event) == list(json.loads(documented))
    assert (event["app"], event["bucket"], event["key"]) == ("told", "photos", "told/照片 & 1.jpg")
    assert event["callback"]["size"] == "5"
    assert event["callback"]["number"] == "a b&c=d/%+照"
    [audited] = await signer.audited(1)
    assert (audited["app"], audited["key"], audited["outcome"]) == ("told", "told/照片 & 1.jpg", "accepted")
    assert audited["event_id"] == event["id"]

    async def is_counted() -> bool:
        return await signer.counts() == {"told accepted": 1, "notify delivered": 1, "depth": 0}

    await until(is_counted)


async def test_the_documented_client_has_callbacks_too(
    signer: CallbackSigner, cloud: Cloud, session: aiohttp.ClientSession, app_server: Told
) -> None:
    """It builds its own form, with the callback that it was given; without it OSS takes none."""
    async with session.get(f"{signer.address}/generate_signature?app_id=told") as answer:
        given = await answer.json()
    form = {
        "key": "told/a.jpg",
        "policy": given["policy"],
        "x-oss-signature-version": given["x_oss_signature_version"],
        "x-oss-credential": given["x_oss_credential"],
        "x-oss-date": given["x_oss_date"],
        "x-oss-signature": given["signature"],
        "x-oss-security-token": given["security_token"],
    }
    without = await send(cloud, {"url": given["host"], "fields": form})
    assert (without.status, "AccessDenied" in without.text) == (403, True), without.text
    whole = await send(cloud, {"url": given["host"], "fields": {**form, "callback": given["callback"]}})
    assert (whole.status, whole.json["key"]) == (200, "told/a.jpg"), whole.text


async def test_json_bodies_are_taken_too(signer: CallbackSigner, app_server: Told) -> None:
    answer = await upload(signer, "json", "照片.jpg", who='a"b\\c')
    assert answer.status == 200, answer.text

    async def was_told() -> bool:
        return bool(app_server.taken)

    await until(was_told)
    [event] = app_server.arrived
    assert event["key"] == "json/照片.jpg"
    assert event["callback"] | {"bucket": "photos"} == event["callback"]
    assert (event["callback"]["size"], event["callback"]["who"]) == (5, 'a"b\\c')


async def test_without_notify_it_is_only_audited(signer: CallbackSigner) -> None:
    answer = await upload(signer, "quiet", "a.jpg")
    assert answer.status == 200, answer.text
    assert (await signer.counts())["depth"] == 0
    assert [entry["key"] for entry in await signer.audited(1)] == [answer.json["key"]]


async def forge(
    cloud: Cloud, url: str, body: str, body_type: str = "application/x-www-form-urlencoded"
) -> dict[str, Any]:
    """What any customer of OSS can do: let it call this URL with this body, signed."""
    wanted = {"url": url, "body": body, "body_type": body_type}
    async with cloud.session.post(f"{cloud.oss}/-/callbacks", json=wanted) as answer:
        called: dict[str, Any] = await answer.json()
        return called


FORM, JSON = "application/x-www-form-urlencoded", "application/json"
NOT_ITS_OWN = [
    ("quiet", "bucket=other&object=quiet/2026/a.jpg", FORM, 403),
    ("quiet", "bucket=photos&object=told/a.jpg", FORM, 403),
    ("quiet", "bucket=photos&object=quiet/2026/", FORM, 403),
    ("quiet", "bucket=photos&object=aquiet/2026/a.jpg", FORM, 403),
    ("quiet", "bucket=photos&object=quiet/../2026/a.jpg", FORM, 403),
    ("quiet", "bucket=photos", FORM, 400),
    ("quiet", "object=quiet/2026/a.jpg", FORM, 400),
    ("quiet", "bucket=photos&bucket=photos&object=quiet/2026/a.jpg", FORM, 400),
    ("quiet", "bucket=photos&object=quiet/2026/" + "a" * 2000, FORM, 403),
    ("quiet", "bucket=photos&object=quiet/2026/a.jpg&pad=" + "a" * 70_000, FORM, 413),
    ("quiet", "bucket=photos&object=quiet/2026/a.jpg", "text/plain", 415),
    ("json", "{", "application/json", 400),
    ("told", "bucket=photos&object=told/a.jpg", FORM, 403),
    ("nobody", "bucket=photos&object=told/a.jpg", FORM, 404),
]


async def test_what_no_form_of_the_app_could_upload_is_refused(signer: CallbackSigner, cloud: Cloud) -> None:
    for app, body, body_type, status in NOT_ITS_OWN:
        called = await forge(cloud, signer.callback_url(app), body, body_type)
        assert called["status"] == status, called
    assert (await signer.counts())["depth"] == 0
    called = await forge(cloud, signer.callback_url("quiet"), "bucket=photos&object=quiet/2026/a.jpg")
    assert called["status"] == 200, "only a proof in the URL tells another customer's callback from ours"
    assert [entry["key"] for entry in await signer.audited(1)] == ["quiet/2026/a.jpg"]


async def test_a_proof_in_the_url_tells_another_customers_callback_from_ours(
    signer: CallbackSigner, cloud: Cloud
) -> None:
    form = await form_of(signer, "told", "a.jpg")
    assert (await send(cloud, form)).status == 200
    url = json.loads(base64.b64decode(form["fields"]["callback"]))["callbackUrl"]
    of_form = "bucket=photos&object=told/a.jpg"
    assert (await forge(cloud, url, of_form))["status"] == 200, "who has a form may tell lies about its own object"
    for other in (url.replace("proof=", "proof=0"), url.partition("&")[0], signer.callback_url("told")):
        assert (await forge(cloud, other, of_form))["status"] == 403
    elsewhere = url.replace("/told/", "/json/")
    assert (await forge(cloud, elsewhere, '{"bucket": "photos", "object": "told/a.jpg"}', JSON))["status"] == 403
    for body in ("bucket=photos&object=atold/a.jpg", "bucket=other&object=told/a.jpg"):
        assert (await forge(cloud, url, body))["status"] == 403


async def test_after_a_change_of_the_secret_only_new_forms_are_taken(
    signer: CallbackSigner, cloud: Cloud, app_server: Told
) -> None:
    form = await form_of(signer, "told", "a.jpg")
    signer.apps["told"]["notify"] = {**app_server.target, "secret": "another that both know"}
    await signer.configure()
    assert (await send(cloud, form)).status == 203
    assert (await upload(signer, "told", "a.jpg")).status == 200


async def test_a_callback_sent_by_another_than_oss_is_refused(
    signer: CallbackSigner, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    """As it was, it is taken again: OSS says nothing that makes it single. Changed in anything, it is not."""
    assert (await upload(signer, "told", "a.jpg")).status == 200
    async with session.get(f"{cloud.oss}/-/callbacks") as answer:
        [call] = await answer.json()
    url, headers, body = call["url"], call["headers"], call["body"]

    async def sent(to: str = url, change: dict[str, str] | None = None, data: str = body, without: str = "") -> int:
        chosen = {name: value for name, value in {**headers, **(change or {})}.items() if name != without}
        async with session.post(URL(to, encoded=True), data=data.encode(), headers=chosen) as answer:
            assert answer.content_type == ("application/json" if answer.status == 200 else "application/problem+json")
            return answer.status

    assert await sent() == 200
    assert await sent(data=body.replace("told%2Fa", "told%2Fb")) == 403
    assert await sent(signer.callback_url("quiet")) == 403
    assert await sent(url + "&a=1") == 403
    assert await sent(without="Authorization") == 401
    assert await sent(without="x-oss-pub-key-url") == 401
    assert await sent(change={"Authorization": "AAAA"}) == 403
    evil = "aHR0cHM6Ly9nb3NzcHVibGljLmFsaWNkbi5jb21AZXZpbC5leGFtcGxlL2sucGVt"
    assert await sent(change={"x-oss-pub-key-url": evil}) == 403
    async with session.get(url) as answer:
        assert answer.status == 405


async def test_a_path_that_a_proxy_changed_is_known_from_the_definitions(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: Told, tmp_path: Path
) -> None:
    """OSS signs the path that it called; behind a proxy another one arrives."""
    behind: list[CallbackSigner] = []

    async def proxied(request: aiohttp.web.Request) -> aiohttp.web.Response:
        to = URL(f"{behind[0].callback_url('a')}?{request.url.raw_query_string}", encoded=True)
        async with session.post(to, data=await request.read(), headers=request.headers) as answer:
            return aiohttp.web.Response(body=await answer.read(), status=answer.status)

    proxy = aiohttp.web.AppRunner(aiohttp.web.Application())
    proxy.app.router.add_post("/{tail:.*}", proxied)
    await proxy.setup()
    await aiohttp.web.TCPSite(proxy, "127.0.0.1", 0).start()
    address = "http://127.0.0.1:{1}".format(*proxy.addresses[0])
    apps = {"a": {"key_prefix": "a/", "url": f"{address}/oss/told", "notify": app_server.target}}
    async with callback_signer(session, cloud, tmp_path, str(tmp_path / "q.db"), apps) as running:
        behind.append(running)
        form = await form_of(running, "a", "1.jpg")
        assert (await send(cloud, form, "1.jpg")).status == 200
        url = json.loads(base64.b64decode(form["fields"]["callback"]))["callbackUrl"]
        called = await forge(cloud, url.replace("/oss/told", "/oss/other"), "bucket=photos&object=a/1.jpg")
        assert called["status"] == 403
    await proxy.cleanup()


async def test_a_signer_that_is_slow_or_away_gives_the_client_203(signer: CallbackSigner, cloud: Cloud) -> None:
    forms = [await form_of(signer, "told", "a.jpg") for _ in range(3)]
    assert signer.running is not None
    signer.running.process.send_signal(signal.SIGSTOP)
    answer = await send(cloud, forms[0])
    assert (answer.status, "reply timeout" in answer.text) == (203, True), answer.text
    await signer.kill()
    answer = await send(cloud, forms[1])
    assert (answer.status, "can not connect" in answer.text) == (203, True), answer.text
    assert await cloud.content("photos", "told/a.jpg") == b"hello"
    await signer.start()
    assert (await send(cloud, forms[2])).status == 200


async def test_a_full_queue_gives_the_client_203_and_says_so(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: Told, tmp_path: Path
) -> None:
    app_server.answers = {"error": 1}
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    queue = str(tmp_path / "q.db")
    async with callback_signer(session, cloud, tmp_path, queue, apps, callback_queue_limit=3) as running:
        answers = [await upload(running, "a", f"{number}.jpg") for number in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 203, 203]
        assert "Error status : 503." in answers[3].text
        counts = await running.counts()
        assert (counts["depth"], counts["a queue_full"]) == (3, 2)
        assert [entry["outcome"] for entry in await running.audited(5)] == ["accepted"] * 3 + ["queue_full"] * 2
        app_server.answers = {"well": 1}

        async def drained() -> bool:
            return (await running.counts())["depth"] == 0

        await until(drained)
        assert (await upload(running, "a", "5.jpg")).status == 200
        await running.stop()
        assert sum("the callback queue is full" in line for line in running.log) == 1


async def test_a_redis_that_hangs_gives_the_client_203_in_time(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: Told, tmp_path: Path
) -> None:
    """It takes connections and says nothing; OSS still has our answer before it gives up."""

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(LONG_SECONDS)
        finally:
            writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    async with callback_signer(session, cloud, tmp_path, f"redis://127.0.0.1:{port}/0", apps) as running:
        answer = await upload(running, "a", "1.jpg")
        assert (answer.status, "Error status : 503." in answer.text) == (203, True), answer.text
    server.close()


async def test_a_body_that_does_not_come_is_answered_all_the_same(signer: CallbackSigner) -> None:
    host, _, port = signer.address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/apps/told/callback HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nbucket="
    writer.write(head.encode())
    async with asyncio.timeout(20):
        assert (await reader.readline()).split()[1] == b"503"
    writer.close()
    assert (await signer.counts())["told timeout"] == 1


async def test_no_secret_is_in_any_output(signer: CallbackSigner, app_server: Told) -> None:
    app_server.answers = {"error": 1}
    await upload(signer, "told", "a.jpg")

    async def failed() -> bool:
        return bool((await signer.counts()).get("notify failed", 0))

    await until(failed)
    audited = await signer.audited(1)
    await signer.stop()
    said = "".join(signer.log) + str(audited)
    assert "a notification failed" in said
    assert SECRET not in said
    assert "sha256=" not in said


OBJECTS, UPLOADS_EACH, KILLS = 100, 10, 5
AT_ONCE = 16


@pytest.fixture(params=["sqlite", "redis"])
async def queue_address(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "callbacks.db")
        return
    async with redis_server(tmp_path / "redis") as place:
        yield f"redis://127.0.0.1:{place.port}/0"


async def test_a_thousand_callbacks_are_told_however_often_it_is_killed(
    session: aiohttp.ClientSession, cloud: Cloud, app_server: Told, queue_address: str, tmp_path: Path
) -> None:
    """Two signers share a queue and are killed in turn, while the app's server errs, resets, dawdles and is down.

    What OSS got a 200 for is told at least once, and of each object in its order.
    """
    chooser = random.Random(5)
    app_server.answers = {"well": 12, "error": 2, "reset": 2, "slow": 1}
    apps = {"a": {"key_prefix": "a/", "notify": app_server.target}}
    accepted: dict[str, list[int]] = {f"{number}.jpg": [] for number in range(OBJECTS)}
    places = asyncio.Semaphore(AT_ONCE)

    async with (
        callback_signer(session, cloud, tmp_path / "1", queue_address, apps, callback_timeout="1s") as one,
        callback_signer(session, cloud, tmp_path / "2", queue_address, apps, callback_timeout="1s") as other,
    ):
        one.urls = [one.address, other.address]
        other.urls = [other.address, one.address]
        await asyncio.gather(one.configure(), other.configure())

        async def form_of_either(filename: str, number: int) -> dict[str, Any]:
            for running in itertools.cycle(chooser.sample([one, other], 2)):
                with contextlib.suppress(aiohttp.ClientError):
                    return await form_of(running, "a", filename, number=str(number))
            raise AssertionError

        async def upload_all(filename: str) -> None:
            for number in itertools.count():
                async with places:
                    answer = await send(cloud, await form_of_either(filename, number), filename)
                assert answer.status in (200, 203), answer.text
                if answer.status == 200:
                    accepted[filename].append(number)
                if len(accepted[filename]) == UPLOADS_EACH:
                    return

        async def kill_in_turn() -> None:
            most = OBJECTS * UPLOADS_EACH
            for number in range(KILLS):
                while sum(map(len, accepted.values())) < most * (number + 1) / (KILLS + 1):
                    await asyncio.sleep(0.01)
                victim = (one, other)[number % 2]
                await victim.kill()
                if number == 1:
                    await app_server.stop()
                if number == 2:
                    await app_server.start()
                await victim.start()

        await asyncio.gather(kill_in_turn(), *(upload_all(filename) for filename in accepted))
        app_server.answers = {"well": 1}

        async def all_told() -> bool:
            told_of = {(event["key"], int(event["callback"]["number"])) for event in app_server.taken.values()}
            return all((f"a/{name}", number) in told_of for name, numbers in accepted.items() for number in numbers)

        await until(all_told)
    for name, numbers in accepted.items():
        arrived = [int(event["callback"]["number"]) for event in app_server.arrived if event["key"] == f"a/{name}"]
        assert arrived == sorted(arrived), name
        assert set(numbers) <= set(arrived), name
    assert sum(map(len, accepted.values())) == OBJECTS * UPLOADS_EACH
