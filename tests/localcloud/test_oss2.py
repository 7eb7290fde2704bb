"""Every operation of the local cloud that oss2, the first Python SDK of OSS, has, with both versions of its signatures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localcloud.operations import LIST_BUCKETS, OPERATIONS
from tests.harness.local_cloud import Cloud
from tests.harness.processes import run
from tests.harness.programs import unavailable

pytestmark = pytest.mark.slow

HERE = Path(__file__).parents[1] / "oss2"
PYTHON = HERE / ".venv/bin/python"
NOT_IN_OSS2 = {"PostObject"}


@pytest.mark.parametrize("version", ["v1", "v4"])
async def test_the_calls_of_oss2(cloud: Cloud, version: str) -> None:
    if not PYTHON.exists():
        unavailable("not installed: oss2; run tests/setup")
    given = {"endpoint": cloud.oss, "bucket": "photos"}
    result = await run(PYTHON, HERE / "operations.py", version, stdin=json.dumps(given))
    assert result.status == 0, result.err
    assert json.loads(result.out) == {
        "put": 200,
        "get": "hello",
        "head": ["a", "text/x", 5],
        "meta": "5D41402ABC4B2A76B9719D911017C592",
        "unmodified": "304",
        "range": "el",
        "url": "hello",
        "acl": "public-read",
        "tags": {"team": "a b"},
        "untagged": {},
        "copy": "hello",
        "new_meta": "b",
        "append": "abcd",
        "symlink": ["log", "abcd"],
        "list": ["copy.txt", "link", "log", "照片/"],
        "list_v2": ["照片/a b+c.txt"],
        "exists": [True, False],
        "deleted": ["copy.txt", "link", "log"],
        "missing": "NoSuchKey",
        "resumable": [200, True],
        "part": 200,
        "parts": [[1, 102400]],
        "uploads": ["abandoned"],
        "aborted": "NoSuchUpload",
        "buckets": ["photos"],
        "info": "albums",
        "location": "oss-cn-hangzhou",
        "bucket_acl": "private",
        "cors": ["PUT"],
        "no_cors": "NoSuchCORSConfiguration",
        "lifecycle": 3,
        "no_lifecycle": "NoSuchLifecycle",
    }
    called = {name.removeprefix("oss.") for name in await cloud.counts()}
    assert {each.name for each in (*OPERATIONS, LIST_BUCKETS)} - NOT_IN_OSS2 <= called
