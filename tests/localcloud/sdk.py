"""Calls the local STS with the official SDK."""

from __future__ import annotations

import asyncio
from typing import Any

from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi import utils_models
from darabonba.runtime import RuntimeOptions

from tests.harness.local_cloud import Cloud
from tests.localcloud.forms import Key

ACCOUNT = "1234567890123456"
ROLE = f"acs:ram::{ACCOUNT}:role/oss-upload"
PROVIDER = f"acs:ram::{ACCOUNT}:oidc-provider/ack-rrsa-c0123456789"


async def assume(cloud: Cloud, key: Key = Key(), **changes: Any) -> Any:  # noqa: B008
    """Call AssumeRole and return the response body."""
    config = utils_models.Config(
        access_key_id=key.id,
        access_key_secret=key.secret,
        security_token=key.token,
        endpoint=cloud.sts.removeprefix("http://"),
        protocol="http",
    )
    wanted = {"role_arn": ROLE, "role_session_name": "oss-signer", "duration_seconds": 900, **changes}
    request = models.AssumeRoleRequest(**wanted)
    answer = await asyncio.to_thread(Client(config).assume_role_with_options, request, RuntimeOptions())
    return answer.body


async def assume_with_oidc(cloud: Cloud, oidctoken: str, **changes: Any) -> Any:
    """Call AssumeRoleWithOIDC, which needs no key, and return the response body."""
    config = utils_models.Config(endpoint=cloud.sts.removeprefix("http://"), protocol="http")
    wanted = {
        "oidcprovider_arn": PROVIDER,
        "oidctoken": oidctoken,
        "role_arn": ROLE,
        "role_session_name": "oss-signer",
        **changes,
    }
    request = models.AssumeRoleWithOIDCRequest(**wanted)
    answer = await Client(config).assume_role_with_oidcwith_options_async(request, RuntimeOptions())
    return answer.body


def key_of(body: Any) -> Key:
    given = body.credentials
    return Key(given.access_key_id, given.access_key_secret, given.security_token)
