"""Parses the upload callback of a request: a form field, headers or query parameters.

See: https://help.aliyun.com/zh/oss/developer-reference/callback
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.oss_errors import OssError, invalid_argument, not_implemented

_MAX_CALLBACK_BYTES = 5 * 1024
_MAX_URLS = 5
_MAX_PORT = 65535
_MEMBERS = frozenset({"callbackUrl", "callbackHost", "callbackBody", "callbackBodyType", "callbackSNI"})
"""callbackSNI changes nothing: the calls always name the server in the TLS handshake."""

FORM, JSON = "application/x-www-form-urlencoded", "application/json"

VARIABLE = re.compile(r"\$\{([^{}]*)\}")
"""A variable in the body of a callback."""
_URL = re.compile(r"(https?://)?([A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[!-~]*|\?[!-~]*)?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.:-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Callback:
    urls: tuple[str, ...]
    body: str
    body_type: str = FORM
    host: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """The uploader's own variables, with their prefix `x:`."""


def callback_of(headers: Mapping[str, str], query: Mapping[str, str]) -> Callback | None:
    """Return the callback in the headers or in the query of a PutObject or CompleteMultipartUpload request."""
    given = [
        (source.get(name, ""), source.get(variables))
        for source, name, variables in (
            (headers, "x-oss-callback", "x-oss-callback-var"),
            (query, "callback", "callback-var"),
        )
        if name in source or variables in source
    ]
    if len(given) > 1:
        raise _invalid("The callback is both in the headers and in the query.", "", "")
    if not given:
        return None
    encoded, encoded_variables = given[0]
    return parse_callback(encoded, {} if encoded_variables is None else _parse_variables(encoded_variables))


def parse_callback(encoded: str, variables: Mapping[str, str]) -> Callback:
    """Parse the Base64 of a callback. Raise `OssError` as OSS does."""
    if len(encoded) > _MAX_CALLBACK_BYTES:
        raise _invalid("The length of callback exceed max value.", "", "")
    document, text = _decode("callback", encoded)
    return _checked(document, text, variables)


def _parse_variables(encoded: str) -> dict[str, str]:
    """Parse callback-var: an object of texts, whose names begin with `x:` and are lower-case."""
    name = "callback-var"
    document, text = _decode(name, encoded)
    if not all(isinstance(value, str) for value in document.values()):
        raise invalid_argument("The callback-var configuration is not json format.", "", name, text)
    if not all(each.startswith("x:") and each == each.lower() for each in document):
        raise invalid_argument("The callback-var configuration is invalid.", "", name, text)
    return document


def _decode(name: str, encoded: str) -> tuple[dict[str, Any], str]:
    """Return the JSON object and its text."""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        message = f"The {name} configuration is not base64 encoded."
        raise invalid_argument(message, "0007-00000002", name, encoded) from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise invalid_argument(f"The {name} configuration is not json format.", "0007-00000003", name, text)
    return document, text


def _checked(document: dict[str, Any], text: str, variables: Mapping[str, str]) -> Callback:
    for name in document.keys() - _MEMBERS:
        raise not_implemented(f"The member {name} of a callback", name)
    if not isinstance(document.get("callbackSNI", False), bool):
        raise _invalid("The callbackSNI configuration is invalid.", "", text)
    url, body = document.get("callbackUrl"), document.get("callbackBody")
    host, body_type = document.get("callbackHost") or None, document.get("callbackBodyType") or FORM
    urls = tuple(each for each in url.split(";") if each) if isinstance(url, str) else ()
    if len(urls) > _MAX_URLS:
        raise _invalid("The number of callback url exceed max value.", "0007-00000005", text)
    if not urls or not all(map(is_url, urls)):
        raise _invalid("The callback url configuration is invalid.", "0007-00000004", text)
    if host is not None and (not isinstance(host, str) or not _HOST.fullmatch(host)):
        raise _invalid("The callback host configuration is invalid.", "", text)
    if not isinstance(body, str) or not body:
        raise _invalid("The callback body is empty.", "0007-00000011", text)
    if body_type not in (FORM, JSON):
        raise _invalid("The body type of callback is not supported.", "", text)
    if body_type == JSON:
        try:
            json.loads(VARIABLE.sub("0", body))
        except (ValueError, RecursionError):
            raise _invalid("The callback configuration is not json format.", "0007-00000003", text) from None
    return Callback(urls, body, body_type, host, variables)


def is_url(text: str) -> bool:
    """Return whether OSS can call it; a URL without a scheme is one of HTTP."""
    match = _URL.fullmatch(text)
    return match is not None and int((match[3] or ":0")[1:]) <= _MAX_PORT


def _invalid(message: str, ec: str, value: str) -> OssError:
    return invalid_argument(message, ec, "callback", value)
