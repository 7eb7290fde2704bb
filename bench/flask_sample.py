"""Alibaba's documented sample server in Flask, reimplemented: what the signer replaces.

See: https://help.aliyun.com/document_detail/92883.html

As documented, every request creates a client of the official SDK and requests a token from STS. With CREDENTIALS=memory
there is one token, requested at the start: the best case of the sample.

Under gunicorn: `OSS_STS_ENDPOINT=http://127.0.0.1:PORT gunicorn --workers 1 bench.flask_sample:application`
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from alibabacloud_sts20150401.client import Client
from alibabacloud_sts20150401.models import AssumeRoleRequest
from alibabacloud_tea_openapi.models import Config
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

BUCKET = "photos-0"
REGION = "cn-hangzhou"
HOST = f"https://{BUCKET}.oss-{REGION}.aliyuncs.com"
UPLOAD_DIRECTORY = "photos/"
EXPIRES_SECONDS = 900

application = Flask(__name__)


def new_credential() -> Any:
    """Return the credential of one AssumeRole call."""
    endpoint = urlsplit(os.environ["OSS_STS_ENDPOINT"])
    config = Config(
        access_key_id=os.environ["OSS_ACCESS_KEY_ID"],
        access_key_secret=os.environ["OSS_ACCESS_KEY_SECRET"],
        endpoint=endpoint.netloc,
        protocol=endpoint.scheme,
    )
    request = AssumeRoleRequest(role_arn=os.environ["OSS_STS_ROLE_ARN"], role_session_name="oss-signer")
    return Client(config).assume_role(request).body.credentials


_in_memory = new_credential() if os.environ.get("CREDENTIALS") == "memory" else None


@application.get("/get_post_signature_for_oss_upload")
def get_post_signature_for_oss_upload() -> ResponseReturnValue:
    """Return a signed policy."""
    credential = _in_memory or new_credential()
    now = datetime.now(UTC)
    date, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    scope = f"{credential.access_key_id}/{day}/{REGION}/oss/aliyun_v4_request"
    policy = {
        "expiration": (now + timedelta(seconds=EXPIRES_SECONDS)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "conditions": [
            {"bucket": BUCKET},
            {"x-oss-signature-version": "OSS4-HMAC-SHA256"},
            {"x-oss-credential": scope},
            {"x-oss-date": date},
            {"x-oss-security-token": credential.security_token},
            ["starts-with", "$key", UPLOAD_DIRECTORY],
            ["eq", "$x-oss-object-acl", "private"],
        ],
    }
    encoded = base64.b64encode(json.dumps(policy).encode()).decode()
    key = f"aliyun_v4{credential.access_key_secret}".encode()
    for part in (day, REGION, "oss", "aliyun_v4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return jsonify(
        {
            "policy": encoded,
            "x_oss_signature_version": "OSS4-HMAC-SHA256",
            "x_oss_credential": scope,
            "x_oss_date": date,
            "signature": hmac.new(key, encoded.encode(), hashlib.sha256).hexdigest(),
            "security_token": credential.security_token,
            "host": HOST,
            "key_prefix": UPLOAD_DIRECTORY,
            "expires_at": (now + timedelta(seconds=EXPIRES_SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
