"""A client that speaks Amazon S3 starts, lists, completes and aborts at the signer, and sends parts to OSS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.multipart.video_signer import API_KEY, CONTENT, PART_BYTES, Response, VideoSigner, definitions

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = {"filename": "trip.mp4", "content_type": "video/mp4", "size": str(len(CONTENT))}


async def s3(
    videos: VideoSigner,
    method: str,
    *,
    query: Mapping[str, str] | None = None,
    token: str | None = None,
    body: str = "",
    caller: str = "ann",
) -> Response:
    """Send a request of an S3 client; the body of the response is text."""
    headers = {"X-Api-Key": API_KEY, "X-Caller": caller, **({} if token is None else {"X-Upload-Token": token})}
    url = "/v1/apps/video/multipart/s3"
    async with videos.client.request(method, url, params=query or {}, headers=headers, data=body or None) as response:
        return Response(response.status, await response.text(), response.headers)


def texts(xml: str, name: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(xml).iter(name)]


def completion(parts: list[dict[str, Any]]) -> str:
    """Return the body as Uppy writes it, with ETags without quotes."""
    listed = "".join(
        f"<Part><PartNumber>{part['part_number']}</PartNumber><ETag>{part['etag'].strip(chr(34))}</ETag></Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"


async def start_and_put(videos: VideoSigner) -> tuple[str, list[dict[str, Any]]]:
    """Start an upload, and send its parts to the URLs that the signer signs."""
    started = await s3(videos, "POST", query=START)
    assert (started.status, started.headers["Content-Type"]) == (200, "application/xml")
    [token] = texts(started.body, "UploadId")
    signed = await videos.post("/parts", {"upload": token, "part_numbers": [1, 2, 3]})
    return token, await videos.put_all({"part_size": PART_BYTES, "parts": signed.body["parts"]})


async def test_an_upload_of_an_s3_client(videos: VideoSigner) -> None:
    token, parts = await start_and_put(videos)
    listed = await s3(videos, "GET", token=token)
    assert listed.headers["Content-Type"] == "application/xml"
    assert texts(listed.body, "PartNumber") == ["1", "2", "3"]
    assert texts(listed.body, "ETag") == [part["etag"] for part in parts]
    for _ in range(2):  # A repeated completion finds the object.
        done = await s3(videos, "POST", token=token, body=completion(parts))
        assert (done.status, done.headers["Content-Type"]) == (200, "application/xml")
        [key], [location] = texts(done.body, "Key"), texts(done.body, "Location")
        assert location == f"{videos.cloud.oss}/videos/{key}"
        assert await videos.cloud.content("videos", key) == CONTENT


async def test_the_start_of_an_s3_client_reports_limits_as_other_starts_do(videos: VideoSigner) -> None:
    limits = "{per_caller: 9/d, per_caller_bytes: 1MiB/d}"
    app = {"key": "uuid", "generate_signature": "false", "rate_limit": limits}
    await videos.redefine(definitions(videos.cloud, **app))
    started = await s3(videos, "POST", query=START)
    assert started.status == 200, started.body
    assert started.headers["RateLimit-Remaining"] == "8"
    assert f'"caller-bytes";r={2**20 - len(CONTENT)};' in started.headers["RateLimit"]


async def test_an_aborted_upload_of_an_s3_client(videos: VideoSigner) -> None:
    token, parts = await start_and_put(videos)
    assert (await s3(videos, "DELETE", token=token)).status == 204
    assert (await s3(videos, "POST", token=token, body=completion(parts))).status == 409


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({**START, "size": "many"}, 400),
        ({**START, "size": "2000000"}, 413),
        ({**START, "content_type": "text/html"}, 415),
        ({**START, "key": "v/x"}, 400),
        ({**START, "code": "of wx.login"}, 400),
        ({**START, "meta": "{}"}, 400),
    ],
)
async def test_a_start_has_the_same_checks(videos: VideoSigner, query: Mapping[str, str], status: int) -> None:
    assert (await s3(videos, "POST", query=query)).status == status


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<CompleteMultipartUpload></CompleteMultipartUpload>",
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        "<CompleteMultipartUpload>{part}{part}</CompleteMultipartUpload>",
        "<CompleteMultipartUpload>{part}<Other/></CompleteMultipartUpload>",
        "<CompleteMultipartUpload>{part}</CompleteMultipartUpload>{part}",
        "<CompleteMultipartUpload>{part}",
        '<!DOCTYPE x [<!ENTITY e "1">]><CompleteMultipartUpload>{part}</CompleteMultipartUpload>',
        "\x00",
    ],
)
async def test_a_body_that_is_no_list_of_parts_is_refused(videos: VideoSigner, body: str) -> None:
    token, _ = await start_and_put(videos)
    part = "<Part><PartNumber>1</PartNumber><ETag>0</ETag></Part>"
    response = await s3(videos, "POST", token=token, body=body.format(part=part))
    assert response.status == 400
    assert len(texts((await s3(videos, "GET", token=token)).body, "PartNumber")) == 3


async def test_the_time_for_a_body_is_linear_in_its_length(videos: VideoSigner) -> None:
    """A megabyte of spaces would take half an hour, and needs no token that is valid."""
    body = f"<CompleteMultipartUpload>{' ' * 1_000_000}x"
    assert (await s3(videos, "POST", token="x", body=body)).status == 400


async def test_a_completion_may_have_a_declaration_and_spaces(videos: VideoSigner) -> None:
    token, parts = await start_and_put(videos)
    start = '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    body = completion(parts).replace("<CompleteMultipartUpload>", start).replace("><", ">\n  <")
    done = await s3(videos, "POST", token=token, body=f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n')
    assert done.status == 200, done.body


async def test_a_completion_with_other_parts_is_refused(videos: VideoSigner) -> None:
    token, parts = await start_and_put(videos)
    other = [{**parts[0], "etag": parts[1]["etag"]}, *parts[1:]]
    for named in (other, parts[:2]):
        assert (await s3(videos, "POST", token=token, body=completion(named))).status == 409


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_the_token_of_another_caller_is_refused(videos: VideoSigner, method: str) -> None:
    token, parts = await start_and_put(videos)
    body = completion(parts) if method == "POST" else ""
    assert (await s3(videos, method, token=token, body=body, caller="bob")).status == 409
    assert len(texts((await s3(videos, "GET", token=token)).body, "PartNumber")) == 3


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_without_a_token_is_refused(videos: VideoSigner, method: str) -> None:
    assert (await s3(videos, method)).status == 400
    assert (await s3(videos, method, query={"upload": "x"})).status == 400
