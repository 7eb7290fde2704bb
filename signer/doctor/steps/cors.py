"""Step `cors`: may the web pages of `cors_origins` post to the bucket, and read what they need of the answer.

By the bucket's rules (GetBucketCors); where the role may not read them, by a preflight, as browsers send it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking
from signer.doctor.oss_probe import Oss, Refused
from signer.doctor.plan import BucketUse, Ids
from signer.doctor.remedies import cors_rule
from signer.signing.v4 import Credential

_EXPOSED = ("ETag", "x-oss-request-id")


@dataclass(frozen=True, slots=True)
class _Rule:
    origins: Sequence[str]
    methods: Sequence[str]
    exposed: Sequence[str]


async def cors(
    asking: Asking, client: Oss, use: BucketUse, origins: Sequence[str], apps: Ids, credential: Credential | None
) -> list[Finding]:
    """`credential` None: by a preflight alone."""
    rules = None if credential is None else await _rules(client, use, credential)
    found = []
    for origin in origins:
        about = About("cors", f"{origin} to {use}", apps)
        exposed = await _preflight(asking, client, use, origin) if rules is None else _matching(rules, origin)
        mend = cors_rule(use.bucket, use.region, origins)
        if exposed is None:
            found.append(about.failed("no CORS rule lets this page POST", mend))
        elif missing := [name for name in _EXPOSED if name.lower() not in exposed]:
            what = f"the page may POST, but its rule does not expose {' and '.join(missing)}"
            found.append(about.warning(what, mend))
        else:
            found.append(about.ok("this page may POST and reads ETag and x-oss-request-id"))
    return found


async def _rules(client: Oss, use: BucketUse, credential: Credential) -> list[_Rule] | None:
    """None where the role may not read them."""
    try:
        answer = await client.bucket_cors(use, credential)
    except Refused as refused:
        return [] if refused.code == "NoSuchCORSConfiguration" else None
    written = getattr(answer.cors_configuration, "cors_rules", None) or []
    return [
        _Rule(each.allowed_origins or [], each.allowed_methods or [], each.expose_headers or []) for each in written
    ]


def _matching(rules: Iterable[_Rule], origin: str) -> set[str] | None:
    """What the first matching rule exposes, as OSS chooses it; None where none matches."""
    for rule in rules:
        if "POST" in rule.methods and any(_fits(each, origin) for each in rule.origins):
            return {name.lower() for name in rule.exposed}
    return None


async def _preflight(asking: Asking, client: Oss, use: BucketUse, origin: str) -> set[str] | None:
    page = "https://any.example.com" if origin == "*" else origin
    answer = await asking.get(
        f"{client.endpoint.bucket_url(use)}/",
        method="OPTIONS",
        headers={"Origin": page, "Access-Control-Request-Method": "POST"},
    )
    if answer.status != 200 or "access-control-allow-origin" not in answer.headers:
        return None
    names = answer.headers.get("access-control-expose-headers", "").split(",")
    return {name.strip().lower() for name in names if name.strip()}


def _fits(pattern: str, origin: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), origin) is not None
