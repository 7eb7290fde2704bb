"""PostObject as OSS documents it: accepted forms, and errors with their codes."""

from __future__ import annotations

import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object
from tests.localcloud.forms import Key, signed_form

DAY = timedelta(days=1)

REFUSALS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("no policy", {"drop": ("policy",)}, 400, "InvalidArgument", "0002-00000702"),
    ("no signature", {"drop": ("x-oss-signature",)}, 400, "InvalidArgument", "0002-00000703"),
    ("blank signature", {"fields": {"x-oss-signature": ""}}, 400, "InvalidArgument", "0002-00000704"),
    ("wrong signature", {"fields": {"x-oss-signature": "0" * 64}}, 403, "SignatureDoesNotMatch", "0002-00000705"),
    ("wrong secret", {"signer": Key(secret="other")}, 403, "SignatureDoesNotMatch", "0002-00000705"),
    ("version", {"fields": {"x-oss-signature-version": "OSS2"}}, 400, "InvalidArgument", "0002-00000701"),
    ("credential", {"fields": {"x-oss-credential": "LTAI-local"}}, 400, "InvalidArgument", "0002-00000710"),
    ("date", {"fields": {"x-oss-date": "yesterday"}}, 400, "InvalidArgument", "0002-00000707"),
    ("another day", {"fields": {"x-oss-date": "20200101T000000Z"}}, 400, "InvalidArgument", "0002-00000709"),
    ("region", {"region": "cn-shanghai"}, 400, "InvalidArgument", "0002-00000715"),
    ("oss- region", {"region": "oss-cn-hangzhou"}, 400, "InvalidArgument", "0002-00000715"),
    ("too old", {"age": 8 * DAY}, 403, "RequestTimeTooSkewed", ""),
    ("from the future", {"age": -timedelta(minutes=16)}, 403, "RequestTimeTooSkewed", ""),
    ("unknown key", {"signer": Key(id="LTAI-nobody")}, 403, "InvalidAccessKeyId", ""),
    ("unknown token", {"signer": Key("STS.x", "s", "CAIS")}, 403, "InvalidSecurityToken", ""),
    ("expired", {"expiration": "2020-01-01T00:00:00.000Z"}, 403, "AccessDenied", "0006-00000213"),
    ("expiration form", {"expiration": "2023-02-19 13:19:00"}, 400, "InvalidPolicyDocument", "0006-00000211"),
    ("no json", {"policy": "{"}, 400, "InvalidPolicyDocument", "0006-00000204"),
    ("nothing in it", {"policy": "{}"}, 400, "InvalidPolicyDocument", "0006-00000209"),
    ("no expiration", {"policy": '{"conditions": [1]}'}, 400, "InvalidPolicyDocument", "0006-00000208"),
    (
        "no conditions",
        {"policy": '{"expiration": "2030-01-01T00:00:00Z"}'},
        400,
        "InvalidPolicyDocument",
        "0006-00000207",
    ),
    (
        "conditions no list",
        {"policy": '{"expiration": "2030-01-01T00:00:00Z", "conditions": {}}'},
        400,
        "InvalidPolicyDocument",
        "0006-00000214",
    ),
    (
        "no condition",
        {"policy": '{"expiration": "2030-01-01T00:00:00Z", "conditions": []}'},
        400,
        "InvalidPolicyDocument",
        "0006-00000215",
    ),
    ("two properties", {"conditions": [{"a": "b", "c": "d"}]}, 400, "InvalidPolicyDocument", ""),
    ("no mode", {"conditions": [[]]}, 400, "InvalidPolicyDocument", "0006-00000216"),
    ("too many items", {"conditions": [["eq", "$key", "a", "b"]]}, 400, "InvalidPolicyDocument", "0006-00000218"),
    ("an item's type", {"conditions": [["in", "$key", "a"]]}, 400, "InvalidPolicyDocument", "0006-00000224"),
    ("a number", {"conditions": [5]}, 400, "InvalidPolicyDocument", "0006-00000222"),
    ("max below min", {"conditions": [["content-length-range", 5, 1]]}, 400, "InvalidPolicyDocument", "0006-00000219"),
    (
        "range no number",
        {"conditions": [["content-length-range", "1", 5]]},
        400,
        "InvalidPolicyDocument",
        "0006-00000221",
    ),
    ("eq", {"conditions": [["eq", "$key", "b.txt"]]}, 403, "AccessDenied", "0006-00000227"),
    ("simple", {"conditions": [{"bucket": "other"}]}, 403, "AccessDenied", "0006-00000227"),
    ("starts-with", {"conditions": [["starts-with", "$key", "b"]]}, 403, "AccessDenied", "0006-00000227"),
    ("in", {"conditions": [["in", "$key", ["b", "c"]]]}, 403, "AccessDenied", "0006-00000227"),
    ("not-in", {"conditions": [["not-in", "$key", ["a.txt"]]]}, 403, "AccessDenied", "0006-00000227"),
    ("absent", {"conditions": [["starts-with", "$x-oss-meta-a", ""]]}, 403, "AccessDenied", "0006-00000226"),
    ("extra auth", {"fields": {"x-oss-security-token": "CAIS"}}, 403, "InvalidSecurityToken", ""),
    ("too large", {"conditions": [["content-length-range", 0, 4]]}, 400, "EntityTooLarge", "0006-00000003"),
    ("too small", {"conditions": [["content-length-range", 6, 9]]}, 400, "EntityTooSmall", "0006-00000004"),
    ("no key", {"drop": ("key",)}, 400, "InvalidArgument", ""),
    ("leading slash", {"fields": {"key": "/a"}}, 400, "InvalidObjectName", "0016-00000005"),
    ("long key", {"fields": {"key": "k" * 1024}}, 400, "InvalidObjectName", "0016-00000002"),
    ("blank callback", {"fields": {"callback": ""}}, 400, "InvalidArgument", "0007-00000003"),
    ("a field of Amazon S3", {"fields": {"acl": "public-read"}}, 501, "NotImplemented", ""),
    ("no x-oss- field", {"fields": {"x-oss-traffic-limit": "819200"}}, 501, "NotImplemented", ""),
    ("tagging", {"fields": {"x-oss-tagging": "a=b"}}, 400, "InvalidArgument", ""),
    ("acl", {"fields": {"x-oss-object-acl": "public"}}, 400, "InvalidArgument", ""),
    ("meta too long", {"fields": {"x-oss-meta-a": "m" * 9000}}, 400, "MetadataTooLarge", ""),
    ("value too long", {"fields": {"x-oss-meta-a": "m" * (2 * 2**20 + 1)}}, 400, "FieldItemTooLong", ""),
    ("name too long", {"fields": {"n" * 8193: "x"}}, 400, "FieldItemTooLong", ""),
]


async def test_each_error_has_its_status_code_and_ec(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    url = f"{cloud.oss}/photos"
    for name, change, status, code, ec in REFUSALS:
        answer, body, headers = await post_object(session, url, signed_form(**change), b"hello")
        found = re.search("<Code>(.*)</Code>", body)
        assert (answer, found and found[1]) == (status, code), (name, body)
        assert f"<EC>{ec}</EC>" in body or not ec, (name, body)
        assert headers["x-oss-request-id"] in body
    assert await cloud.objects("photos") == []


async def test_a_valid_form_is_stored_byte_for_byte(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    content = os.urandom(300_000)
    form = signed_form(
        conditions=[
            {"bucket": "photos"},
            ["starts-with", "$key", "照片/"],
            ["content-length-range", 300_000, 300_000],
            ["not-in", "$cache-control", ["no-store"]],
            ["in", "$x-oss-meta-team", ["a", "b"]],
        ],
        fields={
            "key": "照片/a.bin",
            "x-oss-meta-team": "b",
            "Cache-Control": "max-age=60",
            "success_action_status": "201",
        },
    )
    status, body, headers = await post_object(session, f"{cloud.oss}/photos/", form, content)
    assert status == 201, body
    assert "<Key>照片/a.bin</Key>" in body
    assert re.fullmatch('"[0-9A-F]{32}"', headers["ETag"])
    async with session.get(f"{cloud.oss}/photos/照片/a.bin") as answer:
        assert await answer.read() == content
        assert answer.headers["Cache-Control"] == "max-age=60"
        assert answer.headers["x-oss-meta-team"] == "b"
        assert answer.headers["x-oss-hash-crc64ecma"] == headers["x-oss-hash-crc64ecma"]
    async with session.get(f"{cloud.oss}/photos/照片/a.bin", headers={"Range": "bytes=10-19"}) as answer:
        assert (answer.status, await answer.read()) == (206, content[10:20])
    async with session.head(f"{cloud.oss}/photos/照片/a.bin") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "300000")


async def test_crc64_is_computed_as_by_oss(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    """The check value of CRC-64/XZ, which is ECMA-182 reflected, as OSS uses it."""
    _, _, headers = await post_object(session, f"{cloud.oss}/photos", signed_form(), b"123456789")
    assert int(headers["x-oss-hash-crc64ecma"]) == 0x995DC9BBDF1939FA


async def test_a_bucket_is_found_by_its_host_name(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    for host, status in (("photos.oss-cn-hangzhou.aliyuncs.com", 204), ("other.oss-cn-hangzhou.aliyuncs.com", 404)):
        data = aiohttp.FormData(quote_fields=False)
        for name, value in signed_form().items():
            data.add_field(name, value)
        data.add_field("file", b"x", filename="x")
        async with session.post(cloud.oss, data=data, headers={"Host": host}) as answer:
            assert answer.status == status, await answer.text()


@pytest.mark.parametrize(("wanted", "status"), [("200", 200), ("201", 201), ("204", 204), ("500", 204), (None, 204)])
async def test_the_client_chooses_the_success_status(
    wanted: str | None, status: int, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    fields = {} if wanted is None else {"success_action_status": wanted}
    assert (await post_object(session, f"{cloud.oss}/photos", signed_form(fields=fields), b"x"))[0] == status


async def test_a_redirect_wins_over_the_status(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    form = signed_form(fields={"success_action_status": "200", "success_action_redirect": "https://a.example.com/?b=c"})
    status, _, headers = await post_object(session, f"{cloud.oss}/photos", form, b"x")
    assert status == 303
    assert headers["Location"].startswith("https://a.example.com/?b=c&bucket=photos&key=a.txt&etag=")


async def test_the_stored_content_type_follows_the_documented_order(
    cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    fields: dict[str, str] = {}
    for name, content_type in (
        ("", "application/octet-stream"),
        ("Content-Type", "text/a"),
        ("x-oss-content-type", "text/b"),
    ):
        fields |= {name: content_type} if name else {}
        await post_object(session, f"{cloud.oss}/photos", {**signed_form(), **fields}, b"x")
        [stored] = await cloud.objects("photos")
        assert stored["content_type"] == content_type


async def test_filename_is_expanded_after_the_conditions(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    form = signed_form(conditions=[["eq", "$key", "p/${filename}"]], fields={"key": "p/${filename}"})
    assert (await post_object(session, f"{cloud.oss}/photos", form, b"x", "猫.jpg"))[0] == 204
    assert [each["key"] for each in await cloud.objects("photos")] == ["p/猫.jpg"]


async def test_overwriting_can_be_forbidden(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    form = signed_form(fields={"x-oss-forbid-overwrite": "true"})
    assert (await post_object(session, f"{cloud.oss}/photos", form, b"x"))[0] == 204
    status, body, _ = await post_object(session, f"{cloud.oss}/photos", form, b"y")
    assert (status, "FileAlreadyExists" in body) == (409, True)
    assert await cloud.content("photos", "a.txt") == b"x"


@pytest.mark.parametrize(
    ("content_type", "data", "status", "code"),
    [
        ("application/json", b"{}", 400, "RequestIsNotMultiPartContent"),
        ("multipart/form-data", b"x", 400, "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=b", b"no boundary here", 400, "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400, "IncorrectNumberOfFilesInPOSTRequest"),
    ],
)
async def test_a_malformed_body_is_rejected(
    content_type: str, data: bytes, status: int, code: str, cloud: Cloud, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"{cloud.oss}/photos", data=data, headers={"Content-Type": content_type}) as answer:
        assert (answer.status, f"<Code>{code}</Code>" in await answer.text()) == (status, True), await answer.text()


def field(name: str, value: str) -> tuple[bytes, bytes]:
    return f'Content-Disposition: form-data; name="{name}"'.encode(), value.encode()


FILE = (b'Content-Disposition: form-data; name="file"; filename="a.txt"', b"hello")
FILE_OF_BYTES = (b'Content-Disposition: form-data; name="file"; filename="\xff.txt"', b"hello")


@pytest.mark.parametrize(
    ("before", "after", "status", "code"),
    [
        ((), (FILE,), 204, ""),
        ((), (FILE, field("submit", "Upload")), 204, ""),
        ((), (FILE, FILE), 400, "IncorrectNumberOfFilesInPOSTRequest"),
        ((), (FILE, field("x-oss-object-acl", "public-read")), 400, "MalformedPOSTRequest"),
        ((field("key", "b.txt"),), (FILE,), 400, "MalformedPOSTRequest"),
        ((field("KEY", "b.txt"),), (FILE,), 400, "MalformedPOSTRequest"),
        ((field("_charset_", "x" * 50),), (FILE,), 400, "MalformedPOSTRequest"),
        ((field("x-oss-meta-a b", "x"),), (FILE,), 400, "InvalidArgument"),
        *(
            ((field(name, "x\r\nx-evil: 1"),), (FILE,), 400, "InvalidArgument")
            for name in ("x-oss-meta-a", "Cache-Control", "x-oss-content-type", "success_action_redirect")
        ),
    ],
)
async def test_fields_that_count_twice_or_not_at_all_are_refused(
    before: tuple[tuple[bytes, bytes], ...],
    after: tuple[tuple[bytes, bytes], ...],
    status: int,
    code: str,
    cloud: Cloud,
    session: aiohttp.ClientSession,
) -> None:
    parts = [*before, *(field(*each) for each in signed_form().items()), *after]
    body = b"".join(b"--b\r\n" + head + b"\r\n\r\n" + value + b"\r\n" for head, value in parts) + b"--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with session.post(f"{cloud.oss}/photos", data=body, headers=headers) as answer:
        text = await answer.text()
        assert (answer.status, f"<Code>{code}</Code>" in text) == (status, bool(code)), text
    assert len(await cloud.objects("photos")) == (status == 204)


async def test_a_file_name_that_is_not_utf8_gives_no_key(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    parts = [*(field(*each) for each in signed_form(fields={"key": "${filename}"}).items()), FILE_OF_BYTES]
    body = b"".join(b"--b\r\n" + head + b"\r\n\r\n" + value + b"\r\n" for head, value in parts) + b"--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with session.post(f"{cloud.oss}/photos", data=body, headers=headers) as answer:
        assert (answer.status, "InvalidObjectName" in await answer.text()) == (400, True)


async def test_the_digest_of_a_form_is_not_ignored(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    data = aiohttp.FormData(signed_form())
    data.add_field("file", b"hello", filename="a.txt")
    async with session.post(f"{cloud.oss}/photos", data=data, headers={"Content-MD5": "AAAA"}) as answer:
        assert (answer.status, "Content-MD5" in await answer.text()) == (501, True)


async def test_no_key_leaves_the_data_directory(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    data = tmp_path / "a" / "b" / "data"
    data.mkdir(parents=True)
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", "--data", str(data)) as cloud:
        keys = ["../../../x", "a/../../../../x", "x\x00y", "k" * 1023, "..", "C:\\x"]
        for key in keys:
            status, body, _ = await post_object(session, f"{cloud.oss}/photos", signed_form(fields={"key": key}), b"x")
            assert status == 204, body
        assert sorted(each["key"] for each in await cloud.objects("photos")) == sorted(keys)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 2 * len(keys)
    assert all(path.parent == data / "photos" for path in files)
    async with local_cloud(session, "--bucket", "photos=cn-hangzhou", "--data", str(data)) as cloud:
        assert len(await cloud.objects("photos")) == len(keys)


async def test_objects_are_listed_in_pages(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    for name in ("a/1", "a/2", "a/猫", "b/1"):
        await post_object(session, f"{cloud.oss}/photos", signed_form(fields={"key": name}), b"x")
    keys, token = [], ""
    while True:
        query = {"list-type": "2", "prefix": "a/", "max-keys": "2", "encoding-type": "url", "continuation-token": token}
        async with session.get(f"{cloud.oss}/photos", params=query) as answer:
            body = await answer.text()
        keys += re.findall("<Key>(.*?)</Key>", body)
        match = re.search("<NextContinuationToken>(.*)</NextContinuationToken>", body)
        if match is None:
            break
        token = match[1]
    assert [unquote(key) for key in keys] == ["a/1", "a/2", "a/猫"]


async def test_the_cors_rules_of_the_bucket_apply(cloud: Cloud, session: aiohttp.ClientSession) -> None:
    await session.post(
        f"{cloud.oss}/-/buckets",
        json={"name": "own", "region": "cn-hangzhou", "cors_origins": ["https://a.example.com"]},
    )
    for origin, status in (("https://a.example.com", 200), ("https://b.example.com", 403)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        async with session.options(f"{cloud.oss}/own", headers=headers) as answer:
            assert answer.status == status
            assert ("Access-Control-Allow-Origin" in answer.headers) is (status == 200)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_large_file_is_streamed(cloud: Cloud, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    def peak_bytes() -> int:
        status = Path(f"/proc/{cloud.process.pid}/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    size_bytes = 96 * 2**20
    large = tmp_path / "large"
    with large.open("wb") as made:
        made.truncate(size_bytes)
    before = peak_bytes()
    data = aiohttp.FormData(quote_fields=False)
    for name, value in signed_form().items():
        data.add_field(name, value)
    with large.open("rb") as file:
        data.add_field("file", file, filename="large")
        async with session.post(f"{cloud.oss}/photos", data=data) as answer:
            assert answer.status == 204, await answer.text()
    [stored] = await cloud.objects("photos")
    assert stored["size_bytes"] == size_bytes
    assert peak_bytes() - before < size_bytes / 3
