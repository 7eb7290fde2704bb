"""Galleries: many signed URLs in one request, with the local cloud as the judge of what they read."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import upload_file
from tests.harness.signer import Signer, signer
from tests.harness.waiting import wait_until

pil_image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "the-key-of-the-shop"
MINE = {"X-Api-Key": KEY, "X-Caller": "anna"}
ALIAS = "localhost"
"""The host of a custom domain of the bucket."""


@dataclass
class Gallery:
    running: Signer
    cloud: Cloud
    session: aiohttp.ClientSession
    audit: Path

    async def post(
        self, body: Any, app: str = "album", headers: Mapping[str, str] = MINE
    ) -> tuple[int, dict[str, Any]]:
        url = f"{self.running.public}/v1/apps/{app}/downloads"
        async with self.session.post(url, json=body, headers=headers) as response:
            document: dict[str, Any] = await response.json(content_type=None)
            return response.status, document

    async def urls(self, keys: Sequence[str], app: str = "album", **members: Any) -> list[str]:
        status, document = await self.post({"keys": keys, **members}, app)
        assert status == 200, document
        assert [each["key"] for each in document["downloads"]] == list(keys)
        return [each["url"] for each in document["downloads"]]

    async def problems(self, keys: Sequence[str], app: str = "album") -> list[dict[str, Any] | None]:
        status, document = await self.post({"keys": keys}, app)
        assert status == 200, document
        assert all(("url" in each) != ("problem" in each) for each in document["downloads"])
        return [each.get("problem") for each in document["downloads"]]

    async def read(self, url: str) -> tuple[int, bytes, Mapping[str, str]]:
        async with self.session.get(URL(url, encoded=True)) as response:
            return response.status, await response.read(), response.headers

    async def upload(self, content: bytes, filename: str, app: str = "album", caller: str = "anna") -> str:
        url = f"{self.running.public}/v1/apps/{app}/uploads"
        return await upload_file(self.session, url, {"X-Api-Key": KEY, "X-Caller": caller}, filename, content)


def image(width: int = 400, height: int = 300) -> bytes:
    output = io.BytesIO()
    pil_image.new("RGB", (width, height), "red").save(output, "JPEG")
    return output.getvalue()


def error_code(body: bytes) -> str:
    return body.decode().partition("<Code>")[2].partition("</Code>")[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gallery(
    module_session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gallery]:
    tmp_path = tmp_path_factory.mktemp("gallery")
    config = tmp_path / "signer.yaml"
    async with local_cloud(module_session, public_read=False) as cloud:
        url = await cloud.create_bucket("photos")
        async with module_session.put(f"{cloud.oss}/-/domains/{ALIAS}", json={"bucket": "photos"}) as response:
            assert response.status == 200
        config.write_text(
            f"""
version: 1
server: {{listen: "127.0.0.1:0", admin: "127.0.0.1:0"}}
audit: {tmp_path}/audit.log
credentials:
  narrow: {{type: assume_role, endpoint: "{cloud.sts}", scope: app}}
defaults:
  bucket: photos
  region: cn-hangzhou
  domain: "{url}"
  credentials: narrow
  key_prefix: "{{app}}/{{caller}}/"
  callers: {{type: api_key, keys: {{shop: {sha256(KEY.encode()).hexdigest()}}}}}
apps:
  album:
    downloads:
      expires: 30m
      window: 10m
      styles: {{thumb: "image/resize,w_200/format,webp", cover: "video/snapshot,t_0"}}
      disposition: inline
      also: ["public/{{app}}/"]
  aliased: {{downloads: {{domain: "http://{ALIAS}:{urlsplit(cloud.oss).port}", disposition: attachment}}}}
  brief: {{downloads: {{expires: 1s}}}}
  shared: {{key_prefix: "public/album/", downloads: {{also: [public/album/]}}}}
  counted: {{downloads: {{}}, rate_limit: {{per_caller: 2/h}}}}
  none: {{}}
""",
            encoding="utf-8",
        )
        async with signer(module_session, config) as running:
            yield Gallery(running, cloud, module_session, tmp_path / "audit.log")


async def test_one_request_signs_thumbnails_of_all_photos(gallery: Gallery) -> None:
    keys = [await gallery.upload(image(), f"照片 {number}.jpg") for number in range(3)]
    for url in await gallery.urls(keys, style="thumb"):
        status, body, headers = await gallery.read(url)
        assert (status, headers["Content-Type"], headers["Content-Disposition"]) == (200, "image/webp", "inline")
        assert pil_image.open(io.BytesIO(body)).size == (200, 150)
    for url in await gallery.urls(keys):
        status, body, headers = await gallery.read(url)
        assert (status, body, headers["Content-Disposition"]) == (200, image(), "inline")


async def test_one_object_has_the_same_url_as_in_a_gallery(gallery: Gallery) -> None:
    key = await gallery.upload(image(), "one.jpg")
    address = f"{gallery.running.public}/v1/apps/album/downloads"

    async def both() -> tuple[str, str, str]:
        async with gallery.session.get(address, params={"key": key, "style": "thumb"}, headers=MINE) as response:
            one = await response.json()
            assert response.status == 200, one
        first, again = await gallery.urls([key, key], style="thumb")
        return one["url"], first, again

    found = await both()
    if len({dict(parse_qsl(url))["x-oss-date"] for url in found}) > 1:
        found = await both()  # The window ended between the requests.
    assert len(set(found)) == 1
    assert (await gallery.read(found[0]))[0] == 200


async def test_a_url_is_valid_for_expires_after_its_window(gallery: Gallery) -> None:
    key = await gallery.upload(b"x", "valid.jpg")
    [url] = await gallery.urls([key])
    query = dict(parse_qsl(urlsplit(url).query))
    assert query["x-oss-expires"] == "2400"
    assert int(query["x-oss-date"][11:13]) % 10 == 0
    assert query["x-oss-date"].endswith("00Z")


async def test_a_changed_url_is_refused_by_oss(gallery: Gallery) -> None:
    mine, others = await gallery.upload(image(), "mine.jpg"), await gallery.upload(image(), "hers.jpg", caller="bert")
    [plain], [thumb] = await gallery.urls([mine]), await gallery.urls([mine], style="thumb")
    large = thumb.replace("w_200", "w_4000")
    without = thumb.replace(f"x-oss-process={quote('image/resize,w_200/format,webp', safe='')}&", "")
    for changed in (
        large,
        without,
        f"{plain}&x-oss-process=image/resize,w_1",
        plain.replace("inline", "attachment"),
        plain.replace("=inline", "=inline&response-content-type=text/html"),
        plain.replace("x-oss-expires=2400", "x-oss-expires=86400"),
        plain.replace(quote(mine), quote(others)),
    ):
        assert changed not in (plain, thumb)
        status, body, _ = await gallery.read(changed)
        assert (status, error_code(body)) == (403, "SignatureDoesNotMatch"), changed
    assert (await gallery.read(thumb))[0] == 200


async def test_an_expired_url_is_refused_by_oss(gallery: Gallery) -> None:
    key = await gallery.upload(b"x", "brief.jpg", app="brief")
    [url] = await gallery.urls([key], app="brief")

    async def refused() -> bytes | None:
        status, body, _ = await gallery.read(url)
        return body if status == 403 else None

    assert b"xpire" in await wait_until(refused)


async def test_a_video_has_the_style_of_its_cover_in_the_signature(gallery: Gallery) -> None:
    key = await gallery.upload(b"not really a video", "clip.mp4")
    [url] = await gallery.urls([key], style="cover")
    status, body, _ = await gallery.read(url)
    assert (status, error_code(body)) == (501, "NotImplemented")
    assert b"video/snapshot,t_0" in body


@pytest.mark.parametrize(
    "key",
    [
        "album/bert/a.jpg",
        "album/anna/../bert/a.jpg",
        "album/anna/./a.jpg",
        "album/anna/..",
        "album/anna%2Fa.jpg",
        "album%2Fanna%2Fa.jpg",
        "album/anna",
        "album/anna/",
        "album/annabel/a.jpg",
        "/album/anna/a.jpg",
        "\\album/anna/a.jpg",
        "album//anna/a.jpg",
        "other/anna/a.jpg",
        "public/a.jpg",
        "public/album/",
        "public/album/../../album/bert/a.jpg",
        "public/albums/a.jpg",
        "public/album-private/a.jpg",
        "ALBUM/anna/a.jpg",
    ],
)
async def test_a_key_of_somebody_else_has_a_problem_and_no_url(key: str, gallery: Gallery) -> None:
    own = "album/anna/a.jpg"
    before, refused, after = await gallery.problems([own, key, own])
    assert before is None and after is None
    assert refused is not None
    assert (refused["status"], refused["code"]) == (403, "forbidden")
    async with gallery.session.get(
        f"{gallery.running.public}/v1/apps/album/downloads", params={"key": key}, headers=MINE
    ) as response:
        assert response.status == 403


async def test_a_key_that_no_object_can_have_has_a_problem(gallery: Gallery) -> None:
    longest = "album/anna/".ljust(1023, "k")
    wide = "album/anna/" + "照" * 338
    found = await gallery.problems([longest, f"{longest}k", wide])
    assert found[0] is None
    for problem in found[1:]:
        assert problem is not None
        assert (problem["status"], problem["code"]) == (400, "invalid_request")
        assert "1,023 bytes" in problem["detail"]


async def test_encoded_keys_are_read_literally(gallery: Gallery) -> None:
    """A client that encodes a key twice names another object, which is below the same prefix."""
    [url] = await gallery.urls(["album/anna/%2e%2e%2fbert%2fa.jpg"])
    assert "/album/anna/%252e%252e%252fbert%252fa.jpg?" in url
    assert error_code((await gallery.read(url))[1]) == "NoSuchKey"


async def test_every_caller_reads_below_the_shared_prefixes(gallery: Gallery) -> None:
    key = await gallery.upload(b"banner", "banner.jpg", app="shared")
    assert key.startswith("public/album/")
    for headers in (MINE, {"X-Api-Key": KEY, "X-Caller": "bert"}):
        status, document = await gallery.post({"keys": [key]}, headers=headers)
        assert status == 200
        assert (await gallery.read(document["downloads"][0]["url"]))[:2] == (200, b"banner")


@pytest.mark.parametrize("style", ["", "large", "thumb,cover", "thumb/cover", "../thumb", "image/resize,w_1", "Thumb"])
async def test_a_style_that_the_app_does_not_have_is_refused(style: str, gallery: Gallery) -> None:
    status, problem = await gallery.post({"keys": ["album/anna/a.jpg"], "style": style})
    assert (status, problem["code"]) == (400, "invalid_request")
    assert "thumb, cover" in problem["detail"]
    params = {"key": "album/anna/a.jpg", "style": style}
    async with gallery.session.get(
        f"{gallery.running.public}/v1/apps/album/downloads", params=params, headers=MINE
    ) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({}, "keys"),
        ({"keys": []}, "keys"),
        ({"keys": [""]}, "keys.0"),
        ({"keys": ["album/anna/a"] * 101}, "keys"),
        ({"keys": "album/anna/a"}, "keys"),
        ({"keys": ["album/anna/a"], "process": "image/resize,w_1"}, "process"),
        ({"keys": ["album/anna/a"], "expires": 9}, "expires"),
        ([], "keys"),
    ],
)
async def test_a_body_of_another_shape_is_refused(body: Any, member: str, gallery: Gallery) -> None:
    status, problem = await gallery.post(body)
    assert (status, problem["code"]) == (400, "invalid_request")
    assert member in problem["detail"]


async def test_a_hundred_of_the_longest_keys_fit_into_a_request(gallery: Gallery) -> None:
    keys = [f"album/anna/{number:03}".ljust(1023, "k") for number in range(100)]
    assert len(await gallery.urls(keys, style="thumb")) == 100


async def test_a_custom_domain_serves_the_objects_and_names_the_saved_file(gallery: Gallery) -> None:
    key = await gallery.upload(b"x", "报告 1.pdf", app="aliased")
    [url] = await gallery.urls([key], app="aliased")
    assert url.startswith(f"http://{ALIAS}:")
    status, body, headers = await gallery.read(url)
    assert (status, body) == (200, b"x")
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E6%8A%A5%E5%91%8A%201.pdf"


async def test_a_gallery_counts_once_in_the_rate_limit(gallery: Gallery) -> None:
    assert len(await gallery.urls(["counted/anna/a.jpg"] * 100, app="counted")) == 100
    await gallery.urls(["counted/anna/a.jpg"], app="counted")
    status, problem = await gallery.post({"keys": ["counted/anna/a.jpg"]}, "counted")
    assert (status, problem["code"]) == (429, "rate_limited")


async def test_only_apps_with_downloads_and_identified_callers_get_urls(gallery: Gallery) -> None:
    status, problem = await gallery.post({"keys": ["none/anna/a.jpg"]}, "none")
    assert (status, problem["code"]) == (403, "forbidden")
    status, problem = await gallery.post({"keys": ["album/anna/a.jpg"]}, headers={})
    assert (status, problem["code"]) == (401, "unauthenticated")


async def test_urls_are_audited_and_counted_without_secrets(gallery: Gallery) -> None:
    headers = {**MINE, "X-Request-Id": "gallery-request"}
    status, document = await gallery.post(
        {"keys": ["album/anna/a.jpg", "album/bert/b.jpg"], "style": "thumb"}, headers=headers
    )
    assert status == 200

    def entry() -> dict[str, Any] | None:
        lines = gallery.audit.read_text(encoding="utf-8").splitlines() if gallery.audit.exists() else []
        return next((each for line in lines if (each := json.loads(line))["request_id"] == "gallery-request"), None)

    line = await wait_until(entry)
    assert (line["event"], line["keys"], line["style"]) == ("download", ["album/anna/a.jpg"], "thumb")
    assert line["expires_at"][:19] == document["expires_at"][:19]
    signature = dict(parse_qsl(document["downloads"][0]["url"]))["x-oss-signature"]
    assert signature not in gallery.audit.read_text(encoding="utf-8") + "".join(gallery.running.output)
    async with gallery.session.get(f"{gallery.running.admin}/metrics") as response:
        metrics = await response.text()
    assert 'oss_signer_download_urls_total{app="album",outcome="refused"}' in metrics
    assert 'oss_signer_download_urls_total{app="album",outcome="signed"}' in metrics
