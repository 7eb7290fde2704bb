"""Step `cors`: may the web pages of `cors_origins` post to the bucket and read the response headers they need.

The step reads the bucket's rules (GetBucketCors). If the role may not, it sends a preflight, as browsers do.
See: https://help.aliyun.com/zh/oss/developer-reference/options
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from signer.doctor.findings import Finding, Subject
from signer.doctor.oss_probe import OssProbe, OssRefusal
from signer.doctor.plan import AppIds, BucketUse
from signer.doctor.remedies import cors_rule
from signer.signing.v4 import Credential

_NEEDED_HEADERS = ("ETag", "x-oss-request-id")


async def check_cors(
    client: OssProbe, use: BucketUse, origins: Sequence[str], apps: AppIds, credential: Credential | None
) -> list[Finding]:
    """Check each origin. Without a credential, only the preflight is used."""
    rules = None if credential is None else await _bucket_rules(client, use, credential)
    found = []
    for origin in origins:
        subject = Subject("cors", f"{origin} to {use}", apps)
        exposed = await _preflight(client, use, origin) if rules is None else _first_match(rules, origin)
        fix = cors_rule(use.bucket, use.region, origins)
        if exposed is None:
            found.append(subject.failed("no CORS rule allows POST from this origin", fix))
        elif missing := [name for name in _NEEDED_HEADERS if name.lower() not in exposed]:
            found.append(subject.warning(f"POST is allowed, but the rule does not expose {' and '.join(missing)}", fix))
        else:
            found.append(subject.ok("POST is allowed; ETag and x-oss-request-id are exposed"))
    return found


async def _bucket_rules(client: OssProbe, use: BucketUse, credential: Credential) -> list[Any] | None:
    """Return the SDK's rules; None if the role may not read them."""
    try:
        result = await client.bucket_cors(use, credential)
    except OssRefusal as refusal:
        return [] if refusal.code == "NoSuchCORSConfiguration" else None
    return list(getattr(result.cors_configuration, "cors_rules", None) or [])


def _first_match(rules: Iterable[Any], origin: str) -> set[str] | None:
    """Return the headers that the first matching rule exposes; None if no rule matches. OSS uses the first match."""
    for rule in rules:
        origins = rule.allowed_origins or []
        if "POST" in (rule.allowed_methods or []) and any(_matches(pattern, origin) for pattern in origins):
            return {name.lower() for name in rule.expose_headers or []}
    return None


async def _preflight(client: OssProbe, use: BucketUse, origin: str) -> set[str] | None:
    page = "https://any.example.com" if origin == "*" else origin
    response = await client.http.request(
        f"{client.endpoint.bucket_url(use)}/",
        method="OPTIONS",
        headers={"Origin": page, "Access-Control-Request-Method": "POST"},
    )
    if response.status != 200 or "access-control-allow-origin" not in response.headers:
        return None
    names = response.headers.get("access-control-expose-headers", "").split(",")
    return {name.strip().lower() for name in names if name.strip()}


def _matches(pattern: str, origin: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), origin) is not None
