"""Step `cors`: may the web pages of `cors_origins` send what they do to OSS, and read the response headers they need.

The step reads the bucket's rules (GetBucketCors). If the role may not, it sends a preflight, as browsers do.
See: https://help.aliyun.com/zh/oss/developer-reference/options
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from signer.doctor.findings import Finding, Subject
from signer.doctor.oss_probe import OssProbe, OssRefusal
from signer.doctor.plan import COMPONENT_HEADERS, SDK_HEADERS, AppIds, BucketUse, RequestHeaders
from signer.doctor.remedies import cors_rule
from signer.signing.v4 import Credential

_EXPOSED_HEADERS = ("ETag", "x-oss-request-id")
_SIGNED = "Authorization"
"""A page that signs its requests can send none without it."""


@dataclass(frozen=True, slots=True)
class _Grant:
    """What the rule for an origin allows."""

    request_headers: tuple[str, ...]
    exposed_headers: tuple[str, ...]

    def blocked(self, headers: RequestHeaders) -> list[str]:
        return [each for each in headers if not _is_listed(each, self.request_headers)]

    def shortcomings(self, headers: RequestHeaders) -> str:
        """Return what the rule lacks, as text; empty if nothing is missing."""
        blocked = self.blocked(headers)
        hidden = [each for each in _EXPOSED_HEADERS if not _is_listed(each, self.exposed_headers)]
        noun = "request header" if len(blocked) == 1 else "request headers"
        parts = [f"does not allow the {noun} {' and '.join(blocked)}"] if blocked else []
        parts += [f"does not expose {' and '.join(hidden)}"] if hidden else []
        return " and ".join(parts)


async def check_cors(
    client: OssProbe,
    use: BucketUse,
    methods: Mapping[str, Mapping[str, RequestHeaders]],
    apps: AppIds,
    credential: Credential | None,
) -> list[Finding]:
    """Check the methods and headers of each origin; without a credential, only with preflights."""
    rules = None if credential is None else await _bucket_rules(client, use, credential)
    needed = dict.fromkeys(method for each in methods.values() for method in each)
    fix = cors_rule(use.bucket, use.region, [*methods], [*needed])
    found = []
    for origin, used in methods.items():
        subject = Subject("cors", f"{origin} to {use}", apps)
        for method, headers in used.items():
            if rules is None:
                grant = await _preflights(client, use, origin, method, headers)
            else:
                grant = _first_match(rules, origin, method, headers)
            found.append(_finding(subject, method, headers, grant, fix))
    return found


def _finding(subject: Subject, method: str, headers: RequestHeaders, grant: _Grant | None, fix: str) -> Finding:
    if grant is None:
        return subject.failed(f"no CORS rule allows {method} from this origin", fix)
    if shortcomings := grant.shortcomings(headers):
        what = f"{method} is allowed, but the rule {shortcomings}"
        # ali-oss sends each of its headers always; forms and parts do without those of components.
        is_fatal = _SIGNED in headers and set(grant.blocked(headers)) & set(SDK_HEADERS)
        return subject.failed(what, fix) if is_fatal else subject.warning(what, fix)
    return subject.ok(f"{method} is allowed; {' and '.join(_EXPOSED_HEADERS)} are exposed")


async def _bucket_rules(client: OssProbe, use: BucketUse, credential: Credential) -> list[Any] | None:
    """Return the SDK's rules; None if the role may not read them."""
    try:
        result = await client.bucket_cors(use, credential)
    except OssRefusal as refusal:
        return [] if refusal.code == "NoSuchCORSConfiguration" else None
    return list(getattr(result.cors_configuration, "cors_rules", None) or [])


def _first_match(rules: Iterable[Any], origin: str, method: str, headers: RequestHeaders) -> _Grant | None:
    """Return what the first matching rule allows, which OSS uses; None if no rule has this method and origin.

    If none matches all headers, OSS refuses the request, and the first rule for its method and origin says why.
    """
    grants = [
        _Grant(tuple(rule.allowed_headers or ()), tuple(rule.expose_headers or ()))
        for rule in rules
        if method in (rule.allowed_methods or []) and _is_listed(origin, rule.allowed_origins or [])
    ]
    return next((grant for grant in grants if not grant.blocked(headers)), grants[0] if grants else None)


async def _preflights(
    client: OssProbe, use: BucketUse, origin: str, method: str, headers: RequestHeaders
) -> _Grant | None:
    """Return what a preflight finds. One that asks for a header that no rule allows is refused as a whole."""
    page = "https://any.example.com" if origin == "*" else origin.replace(":*", ":8080")
    signed = tuple(each for each in headers if each in SDK_HEADERS)
    for asked in (headers, signed, COMPONENT_HEADERS, ()):
        sent = {"Origin": page, "Access-Control-Request-Method": method}
        if asked:
            sent["Access-Control-Request-Headers"] = ", ".join(asked).lower()
        url = f"{client.endpoint.bucket_url(use)}/{'' if method == 'POST' else 'part'}"
        response = await client.http.request(url, method="OPTIONS", headers=sent)
        if response.status == 200 and "access-control-allow-origin" in response.headers:
            exposed = response.headers.get("access-control-expose-headers", "").split(",")
            return _Grant(asked, tuple(name.strip() for name in exposed))
    return None


def _is_listed(value: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns, in which `*` is any text, is the value, in any case."""
    expressions = (re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
    return any(re.fullmatch(expression, value, re.IGNORECASE) for expression in expressions)
