"""OSS refuses, fails or does not respond: the client gets a clear problem, and other buckets and forms go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from tests.harness.local_cloud import Cloud
from tests.multipart.video_signer import API_KEY, CONTENT, VideoSigner, definitions, video_signer

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADERS = {"X-Api-Key": API_KEY, "X-Caller": "ann"}


@pytest_asyncio.fixture(loop_scope="module")
async def with_role(cloud: Cloud) -> AsyncIterator[VideoSigner]:
    """A signer whose role has a policy that the test chooses."""
    text = definitions(cloud).replace(
        "{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}",
        f"{{type: assume_role, endpoint: '{cloud.sts}', role_arn: 'acs:ram::1234567890123456:role/oss-upload', "
        "access_key_id: LTAI-local, access_key_secret: local-secret}",
    )
    async with video_signer(cloud, text) as videos:
        yield videos
    await allow(cloud, None)


async def allow(cloud: Cloud, actions: list[str] | None) -> None:
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = None if actions is None else {"Version": "1", "Statement": [statement]}
    async with cloud.session.put(f"{cloud.oss}/-/roles/oss-upload", json={"policy": policy}) as response:
        assert response.status == 200, await response.text()


PUT, LIST, ABORT, GET = "oss:PutObject", "oss:ListParts", "oss:AbortMultipartUpload", "oss:GetObject"


@pytest.mark.parametrize(
    ("allowed", "step", "operation", "missing"),
    [
        ([LIST, ABORT, GET], "", "InitiateMultipartUpload", PUT),
        ([PUT, ABORT, GET], "/list", "ListParts", LIST),
        ([PUT, ABORT, GET], "/complete", "ListParts", LIST),
        ([LIST, ABORT, GET], "/complete", "CompleteMultipartUpload", PUT),
        ([PUT, LIST, GET], "/abort", "AbortMultipartUpload", ABORT),
    ],
)
async def test_a_missing_permission_is_named(
    with_role: VideoSigner, allowed: list[str], step: str, operation: str, missing: str
) -> None:
    upload = await with_role.start()
    await with_role.put_all(upload)
    await allow(with_role.cloud, allowed)
    body = {"upload": upload["upload"]} if step else {"filename": "a.mp4", "size": 1000}
    problem = await with_role.refusal(502, step, body)
    assert problem["code"] == "oss_refused"
    for text in (operation, "403 AccessDenied, EC ", missing, "bucket videos"):
        assert text in problem["detail"]
    await allow(with_role.cloud, None)
    assert upload["key"] not in await with_role.stored()


async def test_a_repeated_completion_needs_the_permission_to_read_the_object(with_role: VideoSigner) -> None:
    upload = await with_role.start()
    await with_role.put_all(upload)
    await allow(with_role.cloud, [PUT, LIST, ABORT])
    body = {"upload": upload["upload"]}
    assert (await with_role.post("/complete", body)).status == 200
    assert GET in (await with_role.refusal(502, "/complete", body))["detail"]


async def test_a_bucket_that_does_not_exist_is_named_by_code(videos: VideoSigner) -> None:
    cloud = videos.cloud
    await videos.redefine(definitions(cloud, bucket="missing"))
    problem = await videos.refusal(502, "", {"filename": "a.mp4", "size": 1000})
    assert problem["code"] == "oss_refused"
    assert "404 NoSuchBucket, EC 0015-00000101" in problem["detail"]


async def test_an_object_is_not_overwritten_where_the_app_forbids_it(cloud: Cloud) -> None:
    text = definitions(cloud, key='"{stem}.{ext}"', headers='{x-oss-forbid-overwrite: "true"}')
    async with video_signer(cloud, text) as videos:
        first, second = [await videos.start(filename="once.mp4") for _ in range(2)]
        for upload in (first, second):
            await videos.put_all(upload)
        assert (await videos.post("/complete", {"upload": first["upload"]})).status == 200
        assert (await videos.refusal(409, "/complete", {"upload": second["upload"]}))["code"] == "already_exists"
        assert (await videos.post("/complete", {"upload": first["upload"]})).status == 200


async def test_the_circuit_of_a_failing_bucket_opens(videos: VideoSigner) -> None:
    upload = await videos.start()
    await videos.cloud.set_faults(oss={"kind": "status", "status": 503})
    body = {"filename": "a.mp4", "size": 1000}
    for _ in range(5):
        async with asyncio.timeout(30):
            response = await videos.post("", body)
        assert (response.status, response.body["code"]) == (503, "oss_unavailable")
        assert int(response.headers["Retry-After"]) >= 1
    before = (await videos.cloud.counts()).get("oss.InitiateMultipartUpload", 0)
    await videos.cloud.set_faults()
    response = await videos.post("", body)
    assert (response.status, response.body["code"]) == (503, "oss_unavailable")
    assert (await videos.cloud.counts()).get("oss.InitiateMultipartUpload", 0) == before
    # Parts and forms need no call to OSS.
    assert (await videos.post("/parts", {"upload": upload["upload"], "part_numbers": [1]})).status == 200
    async with videos.client.post("/v1/apps/forms/uploads", headers=HEADERS, json={}) as form:
        assert form.status == 201
    # Another bucket has its own circuit.
    await videos.redefine(definitions(videos.cloud, bucket="archive"))
    await videos.start()


async def test_a_wrong_endpoint_of_one_app_does_not_stop_another_app_with_the_same_bucket(cloud: Cloud) -> None:
    async with video_signer(cloud, definitions(cloud, oss_endpoint="http://127.0.0.1:1")) as videos:
        body = {"filename": "a.mp4", "size": 1000}
        for _ in range(6):
            assert (await videos.refusal(503, "", body))["code"] == "oss_unavailable"
        assert (await videos.post("", body, app="other")).status == 201


@pytest.mark.parametrize("page", ["<html><body>Log in</body></html>", "", "Log in", "<Part><Size>x</Size></Part>"])
@pytest.mark.parametrize("step", ["", "/list", "/complete", "completion", "/abort"])
async def test_the_page_of_a_proxy_is_no_response_of_oss(cloud: Cloud, step: str, page: str) -> None:
    """It has the status 200, as the login page of a network has; it answers all calls, or only CompleteMultipartUpload."""

    async def respond(request: web.Request) -> web.Response:
        if step == "completion" and request.method != "POST":
            url = URL(f"{cloud.oss}{request.raw_path}", encoded=True)
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with cloud.session.request(request.method, url, headers=headers) as response:
                return web.Response(body=await response.read(), status=response.status)
        return web.Response(text=page, content_type="application/xml")

    proxy = web.Application()
    proxy.router.add_route("*", "/{path:.*}", respond)
    async with TestServer(proxy) as server, video_signer(cloud, definitions(cloud)) as videos:
        upload = await videos.start()
        await videos.put_all(upload)
        token = {"upload": upload["upload"]}
        await videos.redefine(definitions(cloud, oss_endpoint=str(server.make_url("/videos"))))
        path = "/complete" if step == "completion" else step
        problem = await videos.refusal(503, path, token if step else {"filename": "a.mp4", "size": 1000})
        assert problem["code"] == "oss_unavailable"
        await videos.redefine(definitions(cloud))
        assert (await videos.post("/complete", token)).status == 200


async def test_a_read_is_repeated_after_a_failure(videos: VideoSigner) -> None:
    upload = await videos.start()
    await videos.cloud.set_faults(oss={"kind": "status", "status": 503, "times": 1})
    assert (await videos.post("/list", {"upload": upload["upload"]})).status == 200


async def test_a_start_is_not_repeated_after_a_failure(videos: VideoSigner) -> None:
    await videos.cloud.set_faults(oss={"kind": "status", "status": 503, "times": 1})
    assert (await videos.refusal(503, "", {"filename": "a.mp4", "size": 1000}))["code"] == "oss_unavailable"


async def test_a_completion_whose_response_was_lost_is_repeated_by_the_client(videos: VideoSigner) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    token = {"upload": upload["upload"]}
    # The first call lists the parts, the second one completes.
    await videos.cloud.set_faults(oss=[{"kind": "truncated", "times": 2}])
    first = await videos.post("/complete", token)
    await videos.cloud.set_faults()
    again = await videos.post("/complete", token)
    assert first.status in (200, 503)
    assert again.status == 200
    assert again.body["size"] == len(CONTENT)


async def test_the_token_of_one_app_may_do_what_an_upload_needs_below_its_prefix_only(cloud: Cloud) -> None:
    text = definitions(cloud).replace(
        "{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}",
        f"{{type: assume_role, endpoint: '{cloud.sts}', role_arn: 'acs:ram::1234567890123456:role/oss-upload', "
        "access_key_id: LTAI-local, access_key_secret: local-secret, scope: app}",
    )
    async with video_signer(cloud, text) as videos:
        upload, aborted = [await videos.start() for _ in range(2)]
        named = await videos.put_all(upload)
        body = {"upload": upload["upload"], "parts": named}
        assert [(await videos.post("/complete", body)).status for _ in range(2)] == [200, 200]
        assert (await videos.post("/abort", {"upload": aborted["upload"]})).status == 204
        role = videos.service.current.registry.roles["key/video"]
    assert role.session_policy is not None
    assert '"acs:oss:*:*:videos/v/*"' in role.session_policy
