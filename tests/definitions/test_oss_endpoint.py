"""Where the signer itself calls OSS: at `oss_endpoint`, else at the domain of the bucket."""

from __future__ import annotations

import pytest

from signer.definitions.parser import parse

TEXT = """
version: 1
credentials: {{key: {{type: static, access_key_id: LTAI-local, access_key_secret: local-secret}}}}
apps:
  one: {{bucket: videos, region: cn-hangzhou, credentials: key, key_prefix: v/{keys}}}
"""


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        ("", "https://videos.oss-cn-hangzhou.aliyuncs.com"),
        (", domain: https://videos.example.com", "https://videos.example.com"),
        (", oss_endpoint: internal", "https://videos.oss-cn-hangzhou-internal.aliyuncs.com"),
        (
            ", domain: https://videos.example.com, oss_endpoint: https://oss.example.com",
            "https://videos.oss.example.com",
        ),
        (", oss_endpoint: http://127.0.0.1:9000", "http://127.0.0.1:9000/videos"),
        (', oss_endpoint: "http://[::1]:9000"', "http://[::1]:9000/videos"),
    ],
)
def test_the_url_of_a_bucket(keys: str, url: str) -> None:
    assert parse({"signer.yaml": TEXT.format(keys=keys)}, {}).apps["one"].oss_url == url
