"""Clients change their forms, and the local cloud judges: what the rules forbid is not stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
import pytest_asyncio

from signer.errors import InvalidRequest, UnsupportedType
from signer.signing.callback_field import FORM_BODY, JSON_BODY, CallbackField, FormScope
from signer.signing.content_types import WILDCARD_KINDS, expand_wildcards, runs_script
from signer.signing.form import Forms, SignedUpload, open_fields
from signer.signing.object_key import KeyNaming, Template
from signer.signing.upload_rules import UploadRequest, UploadRules
from signer.signing.v4 import Credential
from tests.harness.local_cloud import Cloud, local_cloud
from tests.harness.oss_upload import post_object

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = Credential("LTAI-local", "local-secret")
RULES = UploadRules(
    bucket="photos",
    region="cn-hangzhou",
    url="",
    naming=KeyNaming(Template.parse("p/"), Template.parse("{uuid}")),
    expires=timedelta(minutes=10),
    max_size_bytes=100,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[Cloud]:
    async with aiohttp.ClientSession() as session, local_cloud(session, "--bucket", "photos=cn-hangzhou") as started:
        yield started


def sign(cloud: Cloud, request: UploadRequest, *, sample: bool, **rules: Any) -> SignedUpload:
    forms = Forms("a", replace(RULES, url=f"{cloud.oss}/photos", **rules))
    return (forms.sample_form if sample else forms.full_form)(
        request, caller=None, credential=KEY, now=datetime.now(UTC)
    )


async def upload(
    cloud: Cloud, form: SignedUpload, changes: dict[str, str], drop: tuple[str, ...] = ()
) -> dict[str, Any] | None:
    """Post a form with changes, and return the stored object, if any."""
    fields = {"key": form.key or "", **form.fields, **changes}
    await post_object(cloud.session, form.url, {k: v for k, v in fields.items() if k not in drop}, b"x")
    found = [each for each in await cloud.objects("photos") if each["key"] == form.key]
    return found[0] if found else None


@pytest.mark.parametrize(
    "sent",
    [
        "image/png,text/html",
        "image/png;text/html",
        "image/svg+xml",
        "image/",
        "image/*",
        "IMAGE/PNG",
        "text/html",
        "image/png\t, text/html",
    ],
)
@pytest.mark.parametrize("sample", [True, False], ids=["sample form", "full form"])
async def test_a_wildcard_stores_safe_types_only(cloud: Cloud, sent: str, sample: bool) -> None:
    content_types = expand_wildcards(["image/*"])
    # A client of the sample endpoint may leave the type open; the full form always has one.
    form = sign(cloud, UploadRequest(None, None if sample else "image/png"), sample=sample, content_types=content_types)
    assert await upload(cloud, form, {"x-oss-content-type": sent, "Content-Type": sent}) is None
    assert await upload(cloud, form, {"Content-Type": sent}, drop=("x-oss-content-type",)) is None
    stored = await upload(cloud, form, {"x-oss-content-type": "image/png"})
    assert stored is not None
    assert stored["content_type"] == "image/png"


@pytest.mark.parametrize("sent", ["image/png,text/html", "image/svg+xml", "image/*", "image/x-new", "text/html"])
@pytest.mark.parametrize("sample", [True, False], ids=["sample form", "full form"])
async def test_a_wildcard_signs_safe_types_only(cloud: Cloud, sent: str, sample: bool) -> None:
    with pytest.raises((InvalidRequest, UnsupportedType)):
        sign(cloud, UploadRequest(None, sent), sample=sample, content_types=expand_wildcards(["image/*"]))


@pytest.mark.parametrize("kind", WILDCARD_KINDS)
async def test_no_wildcard_includes_a_type_that_runs_script(kind: str) -> None:
    types = expand_wildcards([f"{kind}/*"])
    assert len(types) > 3
    assert not [each for each in types if runs_script(each) or not each.startswith(f"{kind}/")]


@pytest.mark.parametrize(
    "script",
    ["text/html", "IMAGE/SVG+XML", "text/xml", "application/xml", "application/xhtml+xml", "application/rss+xml",
     "text/javascript", "text/xsl", "multipart/x-mixed-replace"],
)  # fmt: skip
async def test_types_that_run_script_are_known(script: str) -> None:
    assert runs_script(script)
    assert expand_wildcards([script, "image/png"]) == (script.lower(), "image/png")


FIELDS = {
    "Cache-Control": "max-age=1",
    "Content-Disposition": "inline",
    "Content-Encoding": "gzip",
    "Expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "x-oss-content-type": "text/html",
    "x-oss-object-acl": "public-read-write",
    "x-oss-storage-class": "Archive",
    "x-oss-forbid-overwrite": "true",
    "x-oss-server-side-encryption": "AES256",
    "x-oss-meta-*": "theirs",
    "success_action_redirect": "https://evil.example.com/",
    "success_action_status": "201",
    "callback": CallbackField(("http://127.0.0.1:1/theirs",), "a=b").encode(
        FormScope("photos", "p/", False, None, 0), app_id=""
    ),
    "x:*": "theirs",
}
"""Each optional form field of OSS, with a value that a client prefers to the signer's."""
CALLBACK = CallbackField(("http://127.0.0.1:1/ours",), "order=${x:order}&more=${x:more}&key=${object}")


@pytest.mark.parametrize("sample", [True, False], ids=["sample form", "full form"])
@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"content_types": ("image/png",)},
        {"callback": CALLBACK},
        {"headers": {"cache-control": "no-cache", "x-oss-object-acl": "private", "expires": "0"}},
        {"conditions": (["eq", "$Content-Disposition", "attachment"],)},
    ],
    ids=["nothing", "content types", "callback", "headers", "conditions"],
)
async def test_a_client_can_set_exactly_the_open_fields(cloud: Cloud, rules: dict[str, Any], sample: bool) -> None:
    accepted = []
    for name, value in FIELDS.items():
        form = sign(cloud, UploadRequest(), sample=sample, **rules)
        sent = name.replace("*", "own")
        replaced = tuple(field for field in form.fields if field.lower() == sent.lower() and field != sent)
        if await upload(cloud, form, {sent: value}, drop=replaced) is not None:
            accepted.append(name)
    # The body of a full form's callback uses no variable that the request did not have.
    accepted = [name for name in accepted if name != "x:*" or (sample and "callback" in rules)]
    assert sorted(accepted) == sorted(open_fields(replace(RULES, **rules), sample=sample))


@pytest.mark.parametrize("dropped", ["x-oss-object-acl", "x-oss-storage-class", "success_action_status", "callback",
                                     "x:order", "x-oss-content-type", "Content-Type", "x-oss-meta-team"])  # fmt: skip
async def test_a_client_can_drop_no_field_of_a_full_form(cloud: Cloud, dropped: str) -> None:
    request = UploadRequest(None, "image/png", None, {"order": "1"}, {"team": "a"})
    form = sign(cloud, request, sample=False, callback=CALLBACK, meta_names=frozenset({"team"}))
    assert dropped in form.fields
    assert await upload(cloud, form, {}, drop=(dropped,)) is None
    assert await upload(cloud, form, {dropped: form.fields[dropped] + "x"}) is None
    assert await upload(cloud, form, {}) is not None


@pytest.mark.parametrize("name", ["x:more", "X:More"])
@pytest.mark.parametrize("body_type", [FORM_BODY, JSON_BODY])
async def test_variables_that_a_request_leaves_out_are_not_in_the_callback(
    cloud: Cloud, body_type: str, name: str
) -> None:
    text = {
        FORM_BODY: "order=${x:order}&more=${x:more}&key=${object}",
        JSON_BODY: '{"order": ${x:order}, "more": ${x:more}, "key": ${object}}',
    }[body_type]
    callback = CallbackField(("http://127.0.0.1:1/",), text, body_type)
    form = sign(cloud, UploadRequest(vars={"order": "1"}), sample=False, callback=callback)
    assert await upload(cloud, form, {name: "theirs"}) is not None
    async with cloud.session.get(f"{cloud.oss}/-/callbacks") as response:
        sent = (await response.json())[-1]["body"]
    parsed = dict(parse_qsl(sent, keep_blank_values=True)) if body_type == FORM_BODY else json.loads(sent)
    assert parsed == {"order": "1", "more": "", "key": form.key}
