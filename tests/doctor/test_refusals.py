"""What `doctor` reads from OSS's errors; the one of another region's endpoint needs OSS's own host names."""

from __future__ import annotations

import pytest

from signer.doctor.oss_probe import parse_refusal

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
