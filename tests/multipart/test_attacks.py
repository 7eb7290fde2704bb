"""A client that lies is refused, and nothing is stored. The local cloud judges what reaches OSS."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import alibabacloud_oss_v2 as oss
import pytest

from signer.signing.upload_token import UploadTokens
from tests.multipart.video_signer import CONTENT, PART_BYTES, SECRET, VideoSigner

pytestmark = pytest.mark.asyncio(loop_scope="module")

Upload = dict[str, Any]
Attack = Callable[[VideoSigner, Upload], Awaitable[tuple[int, str]]]

FIRST = CONTENT[:PART_BYTES]
SIGNATURE = "SignatureDoesNotMatch"


async def send(
    videos: VideoSigner,
    upload: Upload,
    *,
    data: bytes = FIRST,
    change: tuple[str, str] = ("", ""),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, str]:
    """Send the first part with a change of its URL."""
    part = dict(upload["parts"][0])
    assert change[0] in part["url"]
    part["url"] = part["url"].replace(*change)
    return await videos.put(part, data, headers)


async def another_method(videos: VideoSigner, upload: Upload, method: str) -> tuple[int, str]:
    """Use the URL of a part for another request to the same upload."""
    part = {**upload["parts"][0], "method": method}
    part["url"] = part["url"].replace("partNumber=1&", "")
    body = b"<CompleteMultipartUpload></CompleteMultipartUpload>" if method == "POST" else b""
    return await videos.put(part, body)


PARTS: Mapping[str, Attack] = {
    "one byte more": lambda videos, upload: send(videos, upload, data=FIRST + b"x"),
    "one byte less": lambda videos, upload: send(videos, upload, data=FIRST[:-1]),
    "nothing": lambda videos, upload: send(videos, upload, data=b""),
    "the whole file in one part": lambda videos, upload: send(videos, upload, data=CONTENT),
    "another part number": lambda videos, upload: send(videos, upload, change=("partNumber=1", "partNumber=2")),
    "a part beyond the last": lambda videos, upload: send(videos, upload, change=("partNumber=1", "partNumber=4")),
    "another upload": lambda videos, upload: send(videos, upload, change=("uploadId=", "uploadId=0")),
    "another key": lambda videos, upload: send(videos, upload, change=("trip.mp4", "trap.mp4")),
    "another bucket": lambda videos, upload: send(videos, upload, change=("/videos/", "/archive/")),
    "a longer validity": lambda videos, upload: send(
        videos, upload, change=("x-oss-expires=900", "x-oss-expires=9000")
    ),
    "without additional headers": lambda videos, upload: send(
        videos, upload, change=("x-oss-additional-headers=content-length&", "")
    ),
    "another type": lambda videos, upload: send(videos, upload, headers={"Content-Type": "text/html"}),
    "an ACL": lambda videos, upload: send(videos, upload, headers={"x-oss-object-acl": "public-read"}),
    "metadata": lambda videos, upload: send(videos, upload, headers={"x-oss-meta-upload": "forged"}),
    "a copy of another object": lambda videos, upload: send(
        videos, upload, headers={"x-oss-copy-source": "/archive/secret"}
    ),
    "completion": lambda videos, upload: another_method(videos, upload, "POST"),
    "abort": lambda videos, upload: another_method(videos, upload, "DELETE"),
    "list": lambda videos, upload: another_method(videos, upload, "GET"),
}


@pytest.mark.parametrize("name", PARTS)
async def test_oss_refuses_a_part_that_is_not_the_signed_one(videos: VideoSigner, name: str) -> None:
    upload = await videos.start()
    status, text = await PARTS[name](videos, upload)
    assert status in (400, 403, 501), text
    assert "<Code>" in text
    assert (await videos.post("/list", {"upload": upload["upload"]})).body == {"parts": []}
    assert upload["key"] not in await videos.stored()


STARTS: Mapping[str, tuple[dict[str, Any], int, str]] = {
    "no size": ({"size": None}, 400, "invalid_request"),
    "size 0": ({"size": 0}, 400, "invalid_request"),
    "a negative size": ({"size": -1}, 400, "invalid_request"),
    "a size with a fraction": ({"size": 1.5}, 400, "invalid_request"),
    "a size as text": ({"size": "1000"}, 400, "invalid_request"),
    "true as size": ({"size": True}, 400, "invalid_request"),
    "more than the app allows": ({"size": 2**20 + 1}, 413, "too_large"),
    "more than any integer": ({"size": 10**30}, 400, "invalid_request"),
    "a part size of 0": ({"part_size": 0}, 400, "invalid_request"),
    "a key": ({"key": "v/other/trip.mp4"}, 400, "invalid_request"),
    "a bucket": ({"bucket": "archive"}, 400, "invalid_request"),
    "a type that is not allowed": ({"content_type": "text/html"}, 415, "unsupported_type"),
    "two types in one": ({"content_type": "video/mp4,text/html"}, 400, "invalid_request"),
    "no type that is allowed": ({"filename": "trip.html"}, 415, "unsupported_type"),
    "metadata that is not allowed": ({"meta": {"owner": "x"}}, 400, "invalid_request"),
    "the mark of uploads as metadata": ({"meta": {"upload": "x"}}, 400, "invalid_request"),
    "a header in metadata": ({"meta": {"team": "a\r\nx-oss-object-acl: public-read"}}, 400, "invalid_request"),
    "variables without a callback": ({"vars": {"a": "b"}}, 400, "invalid_request"),
}


@pytest.mark.parametrize("name", STARTS)
async def test_a_start_that_breaks_the_rules_of_the_app_is_refused(videos: VideoSigner, name: str) -> None:
    before = (await videos.cloud.counts()).get("oss.InitiateMultipartUpload", 0)
    members, status, code = STARTS[name]
    body = {"filename": "trip.mp4", "size": len(CONTENT), **members}
    assert (await videos.refusal(status, "", body))["code"] == code
    assert (await videos.cloud.counts()).get("oss.InitiateMultipartUpload", 0) == before


async def test_a_hostile_file_name_is_one_segment_below_the_prefix_of_the_caller(videos: VideoSigner) -> None:
    upload = await videos.start(filename="../../other/..\\x/ü?\u202e.mp4")
    [prefix] = {(await videos.start())["key"].rpartition("/")[0]}
    assert upload["key"].rpartition("/")[0] == prefix


def change_character(token: str, index: int) -> str:
    other = "A" if token[index] != "A" else "B"
    return token[:index] + other + token[index + 1 :]


def changed_token(**changes: Any) -> Callable[[str], str]:
    """Return a function that encrypts a changed token with the signer's own secret."""

    def change(token: str) -> str:
        tokens = UploadTokens([SECRET])
        upload = tokens.decode(token, app_id="video", caller="ann")
        return tokens.encode(dataclasses.replace(upload, **changes))

    return change


TOKENS: Mapping[str, Callable[[str], str]] = {
    "the first character": lambda token: change_character(token, 0),
    "a character of the time": lambda token: change_character(token, 4),
    "a character in the middle": lambda token: change_character(token, len(token) // 2),
    "a character of the proof": lambda token: change_character(token, len(token) - 5),
    "a shorter one": lambda token: token[:-4],
    "a longer one": lambda token: f"{token}AAAA",
    "two of them": lambda token: token + token,
    "text": lambda _token: "upload",
    "other characters": lambda token: token[:-1] + "é",
    "a lone surrogate": lambda token: token[:-1] + "\ud800",
    "one of another secret": lambda token: UploadTokens(["x" * 32]).encode(
        UploadTokens([SECRET]).decode(token, app_id="video", caller="ann")
    ),
    "one that has expired": changed_token(expires_at=datetime.now(UTC) - timedelta(seconds=1)),
    "one of another bucket": changed_token(bucket="archive"),
    "one of another region": changed_token(region="cn-shanghai"),
    "one of another app": changed_token(app_id="other"),
    "one of another caller": changed_token(caller="bob"),
    "one of no caller": changed_token(caller=None),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_that_this_caller_did_not_get_is_refused_at_every_step(videos: VideoSigner, name: str) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    token = TOKENS[name](upload["upload"])
    steps = {"/parts": {"part_numbers": [1]}, "/list": {}, "/complete": {}, "/abort": {}}
    if name == "one that has expired":
        del steps["/abort"]  # An upload that has expired can still be deleted.
    for step, members in steps.items():
        body = {"upload": token, **members}
        if name == "a lone surrogate":
            assert (await videos.refusal(400, step, body))["code"] == "invalid_request"
        else:
            assert (await videos.refusal(409, step, body))["code"] == "upload_gone"
    assert upload["key"] not in await videos.stored()
    listed = (await videos.post("/list", {"upload": upload["upload"]})).body["parts"]
    assert len(listed) == 3


async def test_what_is_wrong_with_a_token_is_not_shown(videos: VideoSigner) -> None:
    upload = await videos.start()
    token = upload["upload"]
    wrong = [{"upload": change_character(token, 9)}, {"upload": "x"}, {"upload": TOKENS["one of another app"](token)}]
    details = {(await videos.refusal(409, "/list", body))["detail"] for body in wrong}
    details.add((await videos.refusal(409, "/list", {"upload": token}, caller="bob"))["detail"])
    details.add((await videos.refusal(409, "/list", {"upload": token}, app="other"))["detail"])
    assert len(details) == 1


@pytest.mark.parametrize("step", ["/parts", "/list", "/complete", "/abort"])
@pytest.mark.parametrize(
    ("members", "options", "status", "code"),
    [
        ({}, {"caller": "bob"}, 409, "upload_gone"),
        ({}, {"app": "other"}, 409, "upload_gone"),
        ({}, {"key": "another"}, 401, "unauthenticated"),
        ({}, {"app": "unknown"}, 404, "unknown_app"),
        ({"upload": ""}, {}, 400, "invalid_request"),
        ({"upload": None}, {}, 400, "invalid_request"),
        ({"upload": "x" * 20_000}, {}, 400, "invalid_request"),
        ({"bucket": "archive"}, {}, 400, "invalid_request"),
    ],
)
async def test_a_step_for_another_upload_is_refused(
    videos: VideoSigner, step: str, members: Mapping[str, Any], options: Mapping[str, str], status: int, code: str
) -> None:
    upload = await videos.start()
    await videos.put_all(upload)
    numbers = {"part_numbers": [1]} if step == "/parts" else {}
    body = {"upload": upload["upload"], **numbers, **members}
    assert (await videos.refusal(status, step, body, **options))["code"] == code
    assert len((await videos.post("/list", {"upload": upload["upload"]})).body["parts"]) == 3
    assert upload["key"] not in await videos.stored()


@pytest.mark.parametrize("numbers", [[0], [-1], [4], [10_001], ["1"], [1.5], [], [1] * 101, None, 1])
async def test_part_numbers_that_the_upload_does_not_have_are_refused(videos: VideoSigner, numbers: Any) -> None:
    upload = await videos.start()
    body = {"upload": upload["upload"], "part_numbers": numbers}
    assert (await videos.refusal(400, "/parts", body))["code"] == "invalid_request"


def named(*etags: str | None) -> Callable[[list[dict[str, Any]]], Any]:
    """Return a function that replaces the ETags that a completion names, where they are not None."""

    def change(parts: list[dict[str, Any]]) -> Any:
        return [
            part if etag is None else {**part, "etag": etag}
            for part, etag in zip(parts, etags or [None] * len(parts), strict=True)
        ]

    return change


COMPLETIONS: Mapping[str, tuple[Callable[[list[dict[str, Any]]], Any], int, str]] = {
    "a wrong ETag": (named(None, '"0123456789ABCDEF0123456789ABCDEF"', None), 409, "parts_mismatch"),
    "the ETag of another part": (lambda parts: named(parts[1]["etag"], None, None)(parts), 409, "parts_mismatch"),
    "a part less": (lambda parts: parts[:2], 409, "parts_mismatch"),
    "no parts": (lambda _parts: [], 409, "parts_mismatch"),
    "a part more": (lambda parts: [*parts, {"part_number": 4, "etag": parts[0]["etag"]}], 409, "parts_mismatch"),
    "another number": (lambda parts: [*parts[:2], {**parts[2], "part_number": 7}], 409, "parts_mismatch"),
    "a part twice": (lambda parts: [*parts, parts[0]], 400, "invalid_request"),
    "an empty ETag": (named("", None, None), 400, "invalid_request"),
    "part 0": (lambda parts: [*parts, {"part_number": 0, "etag": "x"}], 400, "invalid_request"),
    "a size": (lambda parts: [{**part, "size": 1} for part in parts], 400, "invalid_request"),
    "too many parts": (lambda parts: parts * 4000, 400, "invalid_request"),
    "more than a body may have": (lambda parts: parts * 8000, 413, "too_large"),
    "text": (lambda _parts: "all", 400, "invalid_request"),
}


@pytest.mark.parametrize("name", COMPLETIONS)
async def test_a_completion_with_other_parts_is_refused(videos: VideoSigner, name: str) -> None:
    upload = await videos.start()
    parts = await videos.put_all(upload)
    change, status, code = COMPLETIONS[name]
    body = {"upload": upload["upload"], "parts": change(parts)}
    assert (await videos.refusal(status, "/complete", body))["code"] == code
    assert upload["key"] not in await videos.stored()


async def test_the_first_malformed_part_ends_the_validation(videos: VideoSigner) -> None:
    """Collecting the errors of all parts would block the event loop for most of a second."""
    upload = await videos.start()
    problem = await videos.refusal(400, "/complete", {"upload": upload["upload"], "parts": [{}] * 10_001})
    assert problem["detail"] == "parts.0.part_number is missing; send it"


@pytest.mark.parametrize("missing", [1, 2, 3])
async def test_an_incomplete_upload_is_refused(videos: VideoSigner, missing: int) -> None:
    upload = await videos.start()
    parts = await videos.put_all(
        {**upload, "parts": [part for part in upload["parts"] if part["part_number"] != missing]}
    )
    for body in ({}, {"parts": parts}):
        problem = await videos.refusal(409, "/complete", {"upload": upload["upload"], **body})
        assert (problem["code"], problem["detail"]) == ("parts_mismatch", f"part {missing} is missing; send it")
    assert upload["key"] not in await videos.stored()


@pytest.mark.parametrize(
    ("number", "size", "detail"),
    [
        (1, PART_BYTES + 1, "part 1 has 102401 bytes, not 102400; send it again"),
        (3, PART_BYTES, "part 3 has 102400 bytes, not 51200; send it again"),
        (4, 1, "OSS has part 4, and this upload has 3; start a new one"),
    ],
)
async def test_the_declared_size_holds_even_where_oss_does_not_check_it(
    videos: VideoSigner, number: int, size: int, detail: str
) -> None:
    """If OSS ignored the signed Content-Length, the parts would be found when they are listed."""
    upload = await videos.start()
    await videos.put_all(upload)
    upload_id = UploadTokens([SECRET]).decode(upload["upload"], app_id="video", caller="ann").upload_id
    async with videos.sdk() as client:
        request = oss.UploadPartRequest(
            bucket="videos", key=upload["key"], part_number=number, upload_id=upload_id, body=b"x" * size
        )
        await client.upload_part(request)
    problem = await videos.refusal(409, "/complete", {"upload": upload["upload"]})
    assert (problem["code"], problem["detail"]) == ("parts_mismatch", detail)
    assert upload["key"] not in await videos.stored()


async def test_an_app_without_multipart_uploads_starts_none(videos: VideoSigner) -> None:
    problem = await videos.refusal(403, "", {"size": 1000}, app="forms")
    assert problem["code"] == "forbidden"


async def test_a_token_in_the_url_is_not_read(videos: VideoSigner) -> None:
    upload = await videos.start()
    problem = await videos.refusal(400, f"/list?upload={quote(upload['upload'])}", {})
    assert problem["detail"] == "upload is missing; send it"
