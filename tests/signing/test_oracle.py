"""Signatures of policies and URLs, compared with those that Alibaba's JavaScript SDK computes for the same input."""

from __future__ import annotations

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest_asyncio

from signer.signing.callback_field import CallbackField
from signer.signing.form import Forms, SignedUpload
from signer.signing.object_key import KeyNaming, Template
from signer.signing.presigned_url import Presigner
from signer.signing.upload_rules import UploadRequest, UploadRules
from signer.signing.v4 import Credential
from tests.harness.npm import install_packages
from tests.harness.processes import run

ORACLE = Path(__file__).parents[1] / "oracle"
CASES = 80

WORDS = [
    "photos",
    "照片",
    "Фото",
    "صور",
    "😀",
    "e\u0301te",
    "ñandú",
    "a b",
    "日本語",
    'quote"s',
    "back\\slash",
    "<&>",
    "\u2028",
]
SEGMENTS = [word for word in WORDS if word not in ("back\\slash", "\u2028")]
REGIONS = ["cn-hangzhou", "cn-shanghai", "us-west-1", "ap-southeast-1", "cn-hongkong", "eu-central-1"]
AWKWARD = list(" +?#%&=;:@!$'()*,~/-._\"<>[]{}|^`照片Фото😀é\u0301")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def oracle() -> Path:
    """Return the program that signs with ali-oss, which is installed from the lock file."""
    await install_packages(ORACLE)
    return ORACLE / "sign.cjs"


async def run_oracle(oracle: Path, cases: list[dict[str, Any]]) -> list[str]:
    result = await run("node", oracle, stdin=json.dumps(cases))
    assert result.status == 0, result.err
    found: list[str] = json.loads(result.out)
    return found


def random_secret(choice: random.Random) -> str:
    return "".join(choice.choices("abcXYZ0189+/=", k=30))


def random_token(choice: random.Random) -> str | None:
    return choice.choice([None, "CAIS" + "".join(choice.choices("abcXYZ0189+/=", k=300))])


def random_upload(choice: random.Random) -> tuple[SignedUpload, str, str, datetime]:
    """Return an upload of random rules, with the secret, region and time it was signed with."""

    def text() -> str:
        return choice.choice(WORDS)

    exact = choice.random() < 0.5
    prefix = "".join(f"{choice.choice(SEGMENTS)}/" for _ in range(choice.randint(0, 3)))
    headers = {"x-oss-meta-" + str(n): text() for n in range(choice.randint(0, 3))}
    conditions: list[Any] = [["in", "$x-oss-meta-team", [text(), text()]], ["not-in", "$cache-control", [text()]]]
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=choice.randrange(10**8))
    region = choice.choice(REGIONS)
    rules = UploadRules(
        bucket="b" + str(choice.randrange(10**6)),
        region=region,
        url="https://b.example.com",
        naming=KeyNaming(Template.parse(prefix), Template.parse("{filename}") if exact else None),
        expires=timedelta(seconds=choice.randint(1, 86400)),
        max_size_bytes=choice.randint(1, 5 * 2**30),
        content_types=tuple(choice.sample(["image/jpeg", "image/png", "video/mp4"], choice.randint(0, 3))),
        headers=headers,
        conditions=tuple(conditions[: choice.randint(0, 2)]),
        callback=choice.choice([None, CallbackField(("https://a.example.com/中",), "b=${bucket}", proof_secret=b"s")]),
    )
    secret = random_secret(choice)
    credential = Credential("STS.id", secret, random_token(choice), moment + timedelta(hours=choice.randint(1, 12)))
    upload_request = UploadRequest(
        filename=text() + ".jpg", content_type=choice.choice(rules.content_types or ("image/x-" + "y",))
    )
    forms = Forms("a", rules)
    sign = forms.full_form if exact or choice.random() < 0.5 else forms.sample_form
    upload = sign(upload_request, caller=None, credential=credential, now=moment)
    return upload, secret, region, moment


async def test_ali_oss_computes_the_same_policy_signatures(oracle: Path) -> None:
    choice = random.Random(20260101)
    uploads = [random_upload(choice) for _ in range(CASES)]
    cases = [
        {
            "secret": secret,
            "region": region,
            "date": moment.isoformat(),
            "policy": json.loads(base64.b64decode(upload.fields["policy"])),
        }
        for upload, secret, region, moment in uploads
    ]
    assert await run_oracle(oracle, cases) == [upload.fields["x-oss-signature"] for upload, *_ in uploads]
    assert any(not upload.fields["key"].isascii() for upload, *_ in uploads if "key" in upload.fields)


def random_presign_case(choice: random.Random) -> dict[str, Any]:
    def text(length: int) -> str:
        return "".join(choice.choices(AWKWARD, k=choice.randint(1, length)))

    queries = choice.choice([{}, {"x-oss-process": f"style/{text(9)}"}, {"partNumber": "7", "uploadId": text(20)}])
    headers = choice.choice(
        [
            {},
            {"Content-Type": "image/jpeg"},
            {"Content-Type": "application/octet-stream", "Content-Length": "1048576"},
            {"X-Oss-Meta-A": "b", "Cache-Control": "no-cache", "Range": "bytes=0-9"},
        ]
    )
    return {
        "secret": random_secret(choice),
        "token": random_token(choice),
        "region": choice.choice(REGIONS),
        "bucket": "photos",
        "method": choice.choice(["GET", "PUT", "HEAD"]),
        "key": text(40),
        "expires": choice.randint(1, 604_800),
        "headers": headers,
        "queries": queries,
        "additional": [name for name in ("Range", "cache-control", "Content-Length") if name.title() in headers],
    }


async def test_ali_oss_presigns_the_same_urls(oracle: Path) -> None:
    choice = random.Random(20260102)
    cases = [random_presign_case(choice) for _ in range(CASES)]
    for case, url in zip(cases, await run_oracle(oracle, cases), strict=True):
        address, _, query = url.partition("?")
        expected = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
        presigner = Presigner(
            f"https://photos.oss-{case['region']}.aliyuncs.com",
            bucket=case["bucket"],
            key=case["key"],
            region=case["region"],
            credential=Credential("any", case["secret"], case["token"]),
            signed_at=datetime.strptime(expected["x-oss-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
            expires_seconds=case["expires"],
        )
        mine = presigner.url(case["method"], headers=case["headers"], query=case["queries"])
        my_address, _, my_query = mine.partition("?")
        assert unquote(my_address) == unquote(address), case
        assert dict(parse_qsl(my_query, keep_blank_values=True, strict_parsing=True)) == expected, case
