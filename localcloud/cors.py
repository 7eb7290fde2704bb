"""CORS rules of buckets: preflights, response headers, PutBucketCors and GetBucketCors.

See: https://help.aliyun.com/zh/oss/developer-reference/putbucketcors, .../getbucketcors and .../options
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.integers import parse_integer
from localcloud.oss_errors import OssError, malformed_xml, not_implemented
from localcloud.oss_xml import parse_xml, read_body, xml_response

METHODS = ("GET", "PUT", "DELETE", "POST", "HEAD")
_MAX_RULES = 20
_MAX_AGE_SECONDS = 999_999_999
_EXPOSED = ("ETag", "x-oss-request-id", "x-oss-hash-crc64ecma")
_MAX_BODY_BYTES = 2 * 2**20
_TAGS = {
    "AllowedOrigin": "allowed_origins",
    "AllowedMethod": "allowed_methods",
    "AllowedHeader": "allowed_headers",
    "ExposeHeader": "expose_headers",
}
_MEMBERS = set(_TAGS.values())


@dataclass(frozen=True, slots=True)
class CorsRule:
    """An origin or header may contain one `*`, which matches any characters."""

    allowed_origins: tuple[str, ...]
    allowed_methods: tuple[str, ...] = METHODS
    allowed_headers: tuple[str, ...] = ("*",)
    expose_headers: tuple[str, ...] = _EXPOSED
    max_age_seconds: int = 600

    def matches(self, origin: str, method: str, headers: list[str]) -> bool:
        return (
            any(_matches(each, origin) for each in self.allowed_origins)
            and method in self.allowed_methods
            and all(any(_matches(each.lower(), header) for each in self.allowed_headers) for header in headers)
        )

    def response_headers(self, origin: str) -> dict[str, str]:
        """Return the headers of the response to a cross-origin request."""
        allowed = "*" if "*" in self.allowed_origins else origin
        headers = {"Access-Control-Allow-Origin": allowed}
        if self.expose_headers:
            headers["Access-Control-Expose-Headers"] = ", ".join(self.expose_headers)
        return headers


Rules = tuple[CorsRule, ...]


ANY_PAGE: Rules = (CorsRule(("*",)),)


def rules_for(origins: tuple[str, ...]) -> Rules:
    """Return the rule that uploads and reads from these origins need; without origins, no rule."""
    return (CorsRule(origins),) if origins else ()


def parse_rules(document: Any) -> Rules:
    """Parse rules from JSON. Raise ValueError if OSS would reject them."""
    if not isinstance(document, list) or len(document) > _MAX_RULES:
        raise ValueError(f"rules must be a list of at most {_MAX_RULES}")
    return tuple(_parse(each) for each in document)


def _parse(given: Any) -> CorsRule:
    if not isinstance(given, dict) or not {"allowed_origins", "allowed_methods"} <= set(given) <= {
        *_MEMBERS,
        "max_age_seconds",
    }:
        raise ValueError(
            "a rule needs allowed_origins and allowed_methods; the other members of a CORSRule are optional"
        )
    texts = {name: given.get(name, []) for name in _MEMBERS}
    for name, values in texts.items():
        if not isinstance(values, list) or not all(isinstance(each, str) and each.count("*") <= 1 for each in values):
            raise ValueError(f"{name} must be a list of texts with at most one *")
    if not texts["allowed_origins"] or not all(texts["allowed_origins"]):
        raise ValueError("allowed_origins must not be empty")
    if not texts["allowed_methods"] or set(texts["allowed_methods"]) - set(METHODS):
        raise ValueError(f"allowed_methods must be of {', '.join(METHODS)}")
    if any("*" in each for each in texts["expose_headers"]):
        raise ValueError("expose_headers must not contain *")
    lists = {name: tuple(values) for name, values in texts.items()}
    max_age = parse_integer(str(given.get("max_age_seconds", 0)), _MAX_AGE_SECONDS)
    if max_age is None:
        raise ValueError("max_age_seconds must be a whole number")
    return CorsRule(max_age_seconds=max_age, **lists)


def allow_origin(request: web.Request, response: web.StreamResponse, rules: Rules) -> None:
    """Add the response headers of the first matching rule; none if no rule matches."""
    origin, method = request.headers.get("Origin"), request.method
    if method == "OPTIONS":
        method = request.headers.get("Access-Control-Request-Method", "")
    if origin is not None and (rule := _first_match(rules, origin, method, request.headers)) is not None:
        response.headers.update(rule.response_headers(origin))


def preflight(request: web.Request, rules: Rules) -> web.Response:
    """OptionObject. Raise `OssError` if no rule matches, or if it is no preflight.

    See: https://help.aliyun.com/zh/oss/support/http-400-status-code
    """
    origin, method = request.headers.get("Origin"), request.headers.get("Access-Control-Request-Method")
    if origin is None or method is None:
        missing = "Origin request" if origin is None else "Request Access-Control-Request-Method"
        raise OssError(400, "BadRequest", f"Insufficient information. {missing} header needed.")
    rule = _first_match(rules, origin, method, request.headers)
    if rule is None:
        message = "CORSResponse: This CORS request is not allowed. Rules are not found for this origin."
        raise OssError(403, "AccessForbidden", message, "0007-00000001")
    return web.Response(
        headers={
            "Access-Control-Allow-Methods": ", ".join(rule.allowed_methods),
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": str(rule.max_age_seconds),
        }
    )


def get_bucket_cors(rules: Rules) -> web.Response:
    """GetBucketCors. Raise `OssError` (EC 0034-00000001) if the bucket has no rules."""
    if not rules:
        raise OssError(404, "NoSuchCORSConfiguration", "The CORS Configuration does not exist.", "0034-00000001")
    text = "".join(f"<CORSRule>{_elements(rule)}</CORSRule>" for rule in rules)
    return xml_response(f"<CORSConfiguration>{text}<ResponseVary>false</ResponseVary></CORSConfiguration>")


async def parse_request(request: web.Request) -> Rules:
    """Return the rules of PutBucketCors. Raise MalformedXML if OSS would refuse them."""
    root = parse_xml(await read_body(request, _MAX_BODY_BYTES), "CORSConfiguration")
    rules = root.findall("CORSRule")
    if len(rules) > _MAX_RULES:
        raise OssError(400, "CORSRuleBeyondLimit", "The CORS Rules num is beyond limit.")
    if not rules or {child.tag for child in root} - {"CORSRule", "ResponseVary"}:
        raise malformed_xml()
    if (root.findtext("ResponseVary") or "false").lower() != "false":
        raise not_implemented("The element ResponseVary of PutBucketCors", "ResponseVary")
    try:
        return parse_rules([_document(rule) for rule in rules])
    except ValueError:
        raise malformed_xml() from None


def _document(rule: ElementTree.Element) -> dict[str, Any]:
    """Return a rule as `parse_rules` accepts it."""
    document: dict[str, Any] = {
        member: [(child.text or "").strip() for child in rule.findall(tag)]
        for tag, member in _TAGS.items()
        if rule.find(tag) is not None
    }
    if {child.tag for child in rule} - _TAGS.keys() - {"MaxAgeSeconds"}:
        raise malformed_xml()
    return {**document, "max_age_seconds": rule.findtext("MaxAgeSeconds") or 0}


def _elements(rule: CorsRule) -> str:
    named = {
        "AllowedOrigin": rule.allowed_origins,
        "AllowedMethod": rule.allowed_methods,
        "AllowedHeader": rule.allowed_headers,
        "ExposeHeader": rule.expose_headers,
        "MaxAgeSeconds": (str(rule.max_age_seconds),),
    }
    return "".join(f"<{name}>{escape(each)}</{name}>" for name, values in named.items() for each in values)


def _first_match(rules: Rules, origin: str, method: str, headers: Mapping[str, str]) -> CorsRule | None:
    requested = headers.get("Access-Control-Request-Headers", "").lower().split(",")
    names = [name.strip() for name in requested if name.strip()]
    return next((rule for rule in rules if rule.matches(origin, method, names)), None)


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[ -~]*"), text) is not None
