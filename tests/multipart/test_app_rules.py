"""A multipart upload obeys the same rules of the app as a form: fields, conditions, callback and limits."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.callers.stub import Answer, Stub, stub
from tests.harness.local_cloud import Cloud
from tests.multipart.video_signer import CONTENT, VideoSigner, definitions, video_signer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def complete(videos: VideoSigner, **members: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Upload a file; return the response to the completion, and the stored object."""
    upload = await videos.start(**members)
    await videos.put_all(upload)
    done = await videos.post("/complete", {"upload": upload["upload"]})
    assert done.status == 200, done.body
    [stored] = [each for each in await videos.cloud.objects("videos") if each["key"] == upload["key"]]
    return done.body, stored


async def test_fixed_fields_become_headers(cloud: Cloud) -> None:
    fields = {
        "x-oss-object-acl": "public-read",
        "x-oss-storage-class": "IA",
        "Cache-Control": "max-age=60",
        "Content-Disposition": "attachment",
        "x-oss-meta-origin": "app",
        "success_action_redirect": "https://www.example.com",
    }
    headers = "{" + ", ".join(f"{name}: {json.dumps(value)}" for name, value in fields.items()) + "}"
    async with video_signer(cloud, definitions(cloud, headers=headers)) as videos:
        _, stored = await complete(videos)
    assert (stored["acl"], stored["storage_class"]) == ("public-read", "IA")
    found = {name: stored["headers"].get(name.lower()) for name in fields if name.lower() in stored["headers"]}
    assert found == {name: fields[name] for name in ("Cache-Control", "Content-Disposition", "x-oss-meta-origin")}


async def test_spaces_around_a_value_are_no_part_of_a_header(cloud: Cloud) -> None:
    text = definitions(cloud, headers='{x-oss-meta-origin: " app "}', conditions="[[starts-with, $x-oss-meta-team, r]]")
    async with video_signer(cloud, text) as videos:
        _, stored = await complete(videos, meta={"team": "\u3000red  team "})
    assert (stored["headers"]["x-oss-meta-origin"], stored["headers"]["x-oss-meta-team"]) == ("app", "red  team")


@pytest.mark.parametrize(
    ("condition", "team", "is_allowed"),
    [
        ("[eq, $x-oss-meta-team, red]", None, True),
        ("[starts-with, $x-oss-meta-team, r]", "red", True),
        ("[starts-with, $x-oss-meta-team, r]", "blue", False),
        ("[starts-with, $x-oss-meta-team, r]", None, False),
        ("[in, $x-oss-meta-team, [red, blue]]", "blue", True),
        ("[in, $x-oss-meta-team, [red, blue]]", "reds", False),
        ("[not-in, $x-oss-meta-team, [red]]", "blue", True),
        ("[not-in, $x-oss-meta-team, [red]]", "red", False),
        ("[not-in, $x-oss-meta-team, [red]]", None, False),
        ("[in, $x-oss-storage-class, [Standard, IA]]", None, True),
        ("[in, $x-oss-storage-class, [Archive]]", None, False),
        ("[starts-with, $Cache-Control, max-age]", None, False),
    ],
)
async def test_conditions_of_the_app_hold(cloud: Cloud, condition: str, team: str | None, is_allowed: bool) -> None:
    async with video_signer(cloud, definitions(cloud, conditions=f"[{condition}]")) as videos:
        body = {"filename": "a.mp4", "size": 1000, **({} if team is None else {"meta": {"team": team}})}
        if is_allowed:
            assert (await videos.post("", body)).status == 201
        else:
            problem = await videos.refusal(400, "", body)
            assert "does not meet a condition of this app" in problem["detail"]


def recording(bodies: list[str], status: int = 200) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.text())
        return web.json_response({"id": 7}, status=status)

    return answer


def with_callback(cloud: Cloud, server: Stub) -> str:
    body = "key=${object}&size=${size}&type=${mimeType}&order=${x:order}&other=${x:other}"
    return definitions(cloud, callback=f'{{url: "{server.url}/done", body: "{body}"}}')


async def test_the_callback_has_the_variables_of_the_start(cloud: Cloud) -> None:
    bodies: list[str] = []
    async with stub(recording(bodies)) as server, video_signer(cloud, with_callback(cloud, server)) as videos:
        upload = await videos.start(vars={"order": "4 & 5"})
        await videos.put_all(upload)
        done = await videos.post("/complete", {"upload": upload["upload"]})
        again = await videos.post("/complete", {"upload": upload["upload"]})
    assert done.body["callback"] == {"id": 7}
    assert {name: done.body[name] for name in again.body} == again.body
    assert "callback" not in again.body
    [body] = bodies
    key = upload["key"].replace("/", "%2F")
    assert body == f"key={key}&size={len(CONTENT)}&type=video%2Fmp4&order=4%20%26%205&other="


async def test_a_failed_callback_is_null(cloud: Cloud) -> None:
    async with stub(recording([], 500)) as server, video_signer(cloud, with_callback(cloud, server)) as videos:
        done, stored = await complete(videos)
    assert done["callback"] is None
    assert done["etag"] == stored["etag"]


async def test_variables_that_are_too_large_for_oss_are_refused_before_the_upload(cloud: Cloud) -> None:
    async with stub() as server, video_signer(cloud, with_callback(cloud, server)) as videos:
        variables = {f"v{number}": "x" * 1000 for number in range(4)}
        problem = await videos.refusal(400, "", {"filename": "a.mp4", "size": 1000, "vars": variables})
    assert problem["detail"] == "the callback is larger than OSS accepts; send less in vars, or a shorter filename"


async def test_a_callback_that_is_too_large_for_oss_is_refused_before_the_upload(cloud: Cloud) -> None:
    body = "key=${object}&" + "x" * 3800
    text = definitions(cloud, callback=f'{{url: "https://example.com/done", body: "{body}"}}')
    async with video_signer(cloud, text) as videos:
        problem = await videos.refusal(400, "", {"filename": "a.mp4", "size": 1000})
    assert problem["detail"] == "the callback is larger than OSS accepts; send less in vars, or a shorter filename"


async def test_an_upload_counts_once_in_the_rate_limit(cloud: Cloud) -> None:
    async with video_signer(cloud, definitions(cloud, rate_limit="{per_caller: 2/d}")) as videos:
        done, _ = await complete(videos)
        assert done["size"] == len(CONTENT)
        second = await videos.post("", {"filename": "a.mp4", "size": 1000})
        assert (second.status, second.headers["RateLimit-Remaining"]) == (201, "0")
        assert (await videos.refusal(429, "", {"filename": "a.mp4", "size": 1000}))["code"] == "rate_limited"


@pytest.mark.parametrize(("step", "limit"), [("/parts", 120), ("/list", 30), ("/complete", 30), ("/abort", 10)])
async def test_steps_have_limits_for_each_upload(videos: VideoSigner, step: str, limit: int) -> None:
    upload, other = [await videos.start() for _ in range(2)]
    members = {"part_numbers": [1]} if step == "/parts" else {}
    body = {"upload": upload["upload"], **members}
    statuses = [(await videos.post(step, body)).status for _ in range(limit + 20)]
    assert 429 not in statuses[:limit]
    assert statuses[-1] == 429
    assert (await videos.post(step, {"upload": other["upload"], **members})).status != 429


async def test_steps_have_limits_for_each_caller(videos: VideoSigner) -> None:
    tokens = [(await videos.start())["upload"] for _ in range(6)]
    other = (await videos.post("", {"filename": "a.mp4", "size": 1000}, caller="bob")).body["upload"]
    statuses = [(await videos.post("/list", {"upload": token})).status for token in tokens for _ in range(25)]
    assert 429 not in statuses[:120]
    assert statuses[-1] == 429
    assert (await videos.post("/list", {"upload": other}, caller="bob")).status == 200


async def test_steps_have_limits_for_each_address_before_the_caller_is_identified(videos: VideoSigner) -> None:
    async def guess(number: int) -> int:
        return (await videos.post("/list", {"upload": "x"}, key=f"key {number}")).status

    statuses = [status for _ in range(30) for status in await asyncio.gather(*map(guess, range(100)))]
    assert set(statuses[:2400]) == {401}
    assert 429 in statuses[2400:]
    assert (await videos.post("", {"filename": "a.mp4", "size": 1000})).status == 201


async def test_uploads_are_audited_and_counted(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    text = definitions(cloud).replace("version: 1", f"version: 1\naudit: {file}")
    async with video_signer(cloud, text) as videos:
        await complete(videos)
        aborted = await videos.start(size=1000)
        for _ in range(2):
            await videos.post("/abort", {"upload": aborted["upload"]})
        exposition = videos.service.metrics.exposition().decode()
    for line in (
        'oss_signer_multipart_uploads_total{app="video",event="started"} 2.0',
        'oss_signer_multipart_uploads_total{app="video",event="completed"} 1.0',
        'oss_signer_multipart_uploads_total{app="video",event="aborted"} 1.0',
        f'oss_signer_multipart_declared_bytes_total{{app="video"}} {float(len(CONTENT) + 1000)}',
        'oss_signer_oss_calls_total{operation="InitiateMultipartUpload",outcome="success"} 2.0',
        'oss_signer_oss_calls_total{operation="AbortMultipartUpload",outcome="conflict"} 1.0',
    ):
        assert line in exposition
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    events = [line["event"] for line in lines]
    assert events == ["multipart_started", "multipart_completed", "multipart_started", "multipart_aborted"]
    assert {line["caller"] for line in lines} == {"ann"}
    assert lines[2]["size"] == 1000
    assert aborted["upload"] not in file.read_text(encoding="utf-8")
