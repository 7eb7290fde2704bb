"""Signs calls to STS from the documentation alone, for requests that the SDK never sends."""

from __future__ import annotations

import hmac
import uuid
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from yarl import URL

from tests.localcloud.forms import Key
from tests.localcloud.sdk import ROLE

ALGORITHM = "ACS3-HMAC-SHA256"


def signed_assume_role(sts: str, *, key: Key = Key(), date: str | None = None) -> tuple[URL, dict[str, str]]:  # noqa: B008
    """Return URL and headers of a POST without a body."""
    texts = {"DurationSeconds": "900", "RoleArn": ROLE, "RoleSessionName": "oss-signer"}
    query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in texts.items())
    headers = {
        "host": sts.removeprefix("http://"),
        "x-acs-action": "AssumeRole",
        "x-acs-content-sha256": sha256(b"").hexdigest(),
        "x-acs-date": date or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-version": "2015-04-01",
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    to_sign = f"{ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.digest(key.secret.encode(), to_sign.encode(), "sha256").hex()
    headers["Authorization"] = f"{ALGORITHM} Credential={key.id},SignedHeaders={names},Signature={signature}"
    return URL(f"{sts}/?{query}", encoded=True), headers
