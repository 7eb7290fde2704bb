"""Which web pages a browser lets use a bucket (help pages `putbucketcors`, `getbucketcors`, `options`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from localcloud.oss_errors import OssError

METHODS = ("GET", "PUT", "DELETE", "POST", "HEAD")
_MAX_RULES = 20
_EXPOSED = ("ETag", "x-oss-request-id", "x-oss-hash-crc64ecma")
_MEMBERS = {"allowed_origins", "allowed_methods", "allowed_headers", "expose_headers"}


@dataclass(frozen=True, slots=True)
class CorsRule:
    """An origin and a header may hold one `*` for any characters."""

    allowed_origins: tuple[str, ...]
    allowed_methods: tuple[str, ...] = METHODS
    allowed_headers: tuple[str, ...] = ("*",)
    expose_headers: tuple[str, ...] = _EXPOSED
    max_age_seconds: int = 600

    def matches(self, origin: str, method: str, headers: list[str]) -> bool:
        return (
            any(_fits(each, origin) for each in self.allowed_origins)
            and method in self.allowed_methods
            and all(any(_fits(each.lower(), header) for each in self.allowed_headers) for header in headers)
        )

    def exposed(self, origin: str) -> dict[str, str]:
        """The headers of the answer to any cross-origin request."""
        allowed = "*" if "*" in self.allowed_origins else origin
        headers = {"Access-Control-Allow-Origin": allowed}
        if self.expose_headers:
            headers["Access-Control-Expose-Headers"] = ", ".join(self.expose_headers)
        return headers


Rules = tuple[CorsRule, ...]


ANY_PAGE: Rules = (CorsRule(("*",)),)


def rules_for(origins: tuple[str, ...]) -> Rules:
    """What a page of these origins needs to upload and read; none: no rule."""
    return (CorsRule(origins),) if origins else ()


def read_rules(wanted: Any) -> Rules:
    """Raises ValueError for what OSS would not take."""
    if not isinstance(wanted, list) or len(wanted) > _MAX_RULES:
        raise ValueError(f"rules are a list, {_MAX_RULES} at most")
    return tuple(_read(each) for each in wanted)


def _read(given: Any) -> CorsRule:
    if not isinstance(given, dict) or not {"allowed_origins", "allowed_methods"} <= set(given) <= {
        *_MEMBERS,
        "max_age_seconds",
    }:
        raise ValueError("a rule has allowed_origins and allowed_methods, and may have the other members of a CORSRule")
    texts = {name: given.get(name, []) for name in _MEMBERS}
    for name, values in texts.items():
        if not isinstance(values, list) or not all(isinstance(each, str) and each.count("*") <= 1 for each in values):
            raise ValueError(f"{name} is a list of texts with one * at most")
    if set(texts["allowed_methods"]) - set(METHODS):
        raise ValueError(f"allowed_methods are out of {', '.join(METHODS)}")
    if any("*" in each for each in texts["expose_headers"]):
        raise ValueError("expose_headers take no *")
    lists = {name: tuple(values) for name, values in texts.items()}
    return CorsRule(max_age_seconds=int(given.get("max_age_seconds", 0)), **lists)


def allow_origin(request: web.Request, response: web.StreamResponse, rules: Rules) -> None:
    """Adds what the browser wants to see; nothing where no rule matches. The first that matches counts."""
    origin, method = request.headers.get("Origin"), request.method
    if method == "OPTIONS":
        method = request.headers.get("Access-Control-Request-Method", "")
    if origin is not None and (rule := _matching(rules, origin, method, request.headers)) is not None:
        response.headers.update(rule.exposed(origin))


def preflight(request: web.Request, rules: Rules) -> web.Response:
    """OptionObject. Raises `OssError` where no rule matches."""
    origin, method = request.headers.get("Origin"), request.headers.get("Access-Control-Request-Method")
    rule = None if origin is None or method is None else _matching(rules, origin, method, request.headers)
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
    """Raises `OssError` for a bucket without rules (help page `0034-00000001`)."""
    if not rules:
        raise OssError(404, "NoSuchCORSConfiguration", "The CORS Configuration does not exist.", "0034-00000001")
    text = "".join(f"<CORSRule>{_elements(rule)}</CORSRule>" for rule in rules)
    return web.Response(
        text='<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<CORSConfiguration>{text}<ResponseVary>false</ResponseVary></CORSConfiguration>\n",
        content_type="application/xml",
    )


def _elements(rule: CorsRule) -> str:
    named = {
        "AllowedOrigin": rule.allowed_origins,
        "AllowedMethod": rule.allowed_methods,
        "AllowedHeader": rule.allowed_headers,
        "ExposeHeader": rule.expose_headers,
        "MaxAgeSeconds": (str(rule.max_age_seconds),),
    }
    return "".join(f"<{name}>{escape(each)}</{name}>" for name, values in named.items() for each in values)


def _matching(rules: Rules, origin: str, method: str, headers: Mapping[str, str]) -> CorsRule | None:
    asked = headers.get("Access-Control-Request-Headers", "").lower().split(",")
    names = [name.strip() for name in asked if name.strip()]
    return next((rule for rule in rules if rule.matches(origin, method, names)), None)


def _fits(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None
