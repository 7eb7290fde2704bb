"""Signs PostObject forms from the documentation alone, to judge the local cloud."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Key:
    id: str = "LTAI-local"
    secret: str = "local-secret"
    token: str | None = None


def signed_form(
    signer: Key = Key(),
    *,
    conditions: list[Any] | None = None,
    drop: tuple[str, ...] = (),
    policy: str | None = None,
    age: timedelta = timedelta(),
    region: str = "cn-hangzhou",
    expiration: str | None = None,
    fields: dict[str, str] | None = None,
) -> dict[str, str]:
    """Return a form that OSS accepts, with the given changes. `drop` removes fields after signing."""
    now = datetime.now(UTC) - age
    date = now.strftime("%Y%m%dT%H%M%SZ")
    auth = {
        "x-oss-signature-version": "OSS4-HMAC-SHA256",
        "x-oss-credential": f"{signer.id}/{date[:8]}/{region}/oss/aliyun_v4_request",
        "x-oss-date": date,
    }
    if signer.token is not None:
        auth["x-oss-security-token"] = signer.token
    document = {
        "expiration": expiration or (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "conditions": [{name: value} for name, value in auth.items()] + (conditions or []),
    }
    encoded = base64.b64encode((policy if policy is not None else json.dumps(document)).encode()).decode()
    signing = ("aliyun_v4" + signer.secret).encode()
    for part in (date[:8], region, "oss", "aliyun_v4_request"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    form = {"key": "a.txt", **auth, "policy": encoded}
    form["x-oss-signature"] = hmac.digest(signing, encoded.encode(), "sha256").hex()
    form |= fields or {}
    return {name: value for name, value in form.items() if name not in drop}
