"""The calls of ali-oss for Node.js, with both versions of its signatures. Its multipart calls are in test_multipart_clients.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.local_cloud import Cloud
from tests.harness.npm import install_packages
from tests.harness.processes import run

pytestmark = pytest.mark.slow

ORACLE = Path(__file__).parents[1] / "oracle"


@pytest.mark.parametrize("is_v4", [True, False])
async def test_the_calls_of_ali_oss(cloud: Cloud, is_v4: bool) -> None:
    await install_packages(ORACLE)
    given = {"endpoint": cloud.oss, "bucket": "photos", "authorizationV4": is_v4}
    result = await run("node", ORACLE / "objects.cjs", stdin=json.dumps(given))
    assert result.status == 0, result.err
    assert json.loads(result.out) == {
        "put": 200,
        "get": "hello",
        "head": [{"team": "a"}, "5"],
        "meta": '"5D41402ABC4B2A76B9719D911017C592"',
        "unmodified": 304,
        "range": "el",
        "acl": "public-read",
        "tags": {"team": "a"},
        "untagged": {},
        "copy": "hello",
        "putMeta": {"team": "b"},
        "append": "abcd",
        "list": ["照片/"],
        "listV2": ["copy.txt"],
        "deleteMulti": ["copy.txt", "log"],
        "missing": "NoSuchKey",
        "symlink": ["target", "linked"],
        "buckets": ["photos"],
        "info": "albums",
        "location": "oss-cn-hangzhou",
        "bucketAcl": "private",
        "cors": "PUT",
        "noCors": "NoSuchCORSConfiguration",
        "lifecycle": {"days": "3"},
        "noLifecycle": "NoSuchLifecycle",
    }
