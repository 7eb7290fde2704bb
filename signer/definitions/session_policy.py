"""The RAM policy that narrows the token of a role with `scope: app` to one app's objects."""

from __future__ import annotations

import json

from signer.definitions import model


def fixed_prefix(app_id: str, key_prefix: str) -> str:
    """Return the part of `key_prefix` that is the same for every caller and day."""
    return key_prefix.replace("{app}", app_id).partition("{")[0]


def session_policy(app_id: str, app: model.AppEntry) -> str:
    """Return the policy: PutObject, and GetObject for downloads, below the fixed part of the prefix.

    See: https://help.aliyun.com/zh/ram/developer-reference/api-sts-2015-04-01-assumerole
    """
    statement = {
        "Effect": "Allow",
        "Action": "oss:PutObject" if app.downloads is None else ["oss:PutObject", "oss:GetObject"],
        "Resource": f"acs:oss:*:*:{app.bucket}/{fixed_prefix(app_id, app.key_prefix)}*",
    }
    return json.dumps({"Version": "1", "Statement": [statement]}, ensure_ascii=False, separators=(",", ":"))
