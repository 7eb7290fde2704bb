"""What `doctor` reads from OSS's errors; the one of another region's endpoint needs OSS's own host names."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from signer.doctor.oss_probe import parse_refusal
from tests.doctor.reports import doctor

ENDPOINT = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>The bucket you are attempting to '
    "access must be addressed using the specified endpoint. Please send all future requests to this endpoint.</Message>"
    "<RequestId>0</RequestId><HostId>photos.oss-cn-hangzhou.aliyuncs.com</HostId><Bucket>photos</Bucket>{}</Error>"
)


@pytest.mark.parametrize(
    ("text", "elsewhere", "region", "denied"),
    [
        (ENDPOINT.format("<Endpoint>oss-cn-shanghai.aliyuncs.com</Endpoint>"), True, "cn-shanghai", False),
        (ENDPOINT.format("<Endpoint>oss-cn-beijing-internal.aliyuncs.com</Endpoint>"), True, "cn-beijing", False),
        (ENDPOINT.format(""), True, None, False),
        ("<Error><Code>InvalidArgument</Code><EC>0002-00000226</EC></Error>", True, None, False),
        ("<Error><Code>AccessDenied</Code><EC>0003-00000201</EC></Error>", False, None, True),
        ("<html>no XML of OSS", False, None, False),
    ],
)
def test_where_a_bucket_is(text: str, elsewhere: bool, region: str | None, denied: bool) -> None:
    found = parse_refusal(403, text)
    assert (found.is_other_region, found.region, found.is_denied) == (elsewhere, region, denied)


@pytest.mark.parametrize("page", ["Log in", "<html><body>Log in</body></html>"])
async def test_the_page_of_a_proxy_is_no_response_of_oss(tmp_path: Path, page: str) -> None:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(text=page)

    proxy = web.Application()
    proxy.router.add_route("*", "/{path:.*}", respond)
    async with TestServer(proxy) as server:
        endpoint = str(server.make_url("")).rstrip("/")
        config = tmp_path / "signer.yaml"
        config.touch(mode=0o600)
        config.write_text(
            "version: 1\n"
            "credentials: {key: {type: static, access_key_id: LTAI-local, access_key_secret: local-secret}}\n"
            "defaults: {region: cn-hangzhou, credentials: key, bucket: photos}\n"
            f'apps: {{one: {{key_prefix: a/, domain: "{endpoint}/photos"}}}}\n',
            encoding="utf-8",
        )
        report = await doctor("--config", config, "--oss-endpoint", endpoint, "--json")
    what = "does not respond as OSS does; a proxy may have responded"
    assert [each["what"] for each in report.of("bucket", "failed")] == [what]
