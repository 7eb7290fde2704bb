"""The types of single values in the YAML, each with its validation, title, pattern and examples for editors.

A reason that starts with `not` is put after the value in the error message.
"""

import contextlib
import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SecretStr,
    WithJsonSchema,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from signer.definitions import regions
from signer.definitions.api_key_hash import EXAMPLE_HASH, HASH_PATTERN, validate_hash
from signer.definitions.quantities import (
    BYTE_RATE_PATTERN,
    DURATION_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    parse_byte_rate,
    parse_duration,
    parse_rate,
    parse_size,
)
from signer.delivery.event_signature import signing_key
from signer.listen_address import PATTERN as LISTEN_ADDRESS_PATTERN
from signer.listen_address import ListenAddress
from signer.redis_url import parse_redis_url
from signer.signing.content_types import WILDCARD_KINDS

OR_REFERENCE = r"|\$\{"
"""The end of a pattern that also accepts `${NAME}` in the value."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_NAME}|\[[0-9A-Fa-f:.]+\])"
"""A name, an IPv4 address, or an IPv6 address in brackets."""
_PORT = r"(?::[0-9]{1,5})?"
_BASE_URL = rf"^https?://{_HOST}{_PORT}(?:/[A-Za-z0-9._~/-]*)?$"
_URL_REST = r"(?:[/?][A-Za-z0-9._~!$&'()*+,=:@%/?-]*)?"
"""Path and query, as RFC 3986 allows them, without `;`: OSS separates callback URLs with it."""
_CALLBACK_URL = rf"^https?://{_HOST}{_PORT}{_URL_REST}$"
_URL = _CALLBACK_URL.replace("*+,", "*+,;")
_LOOPBACK_ANY_PORT = r"https?://(?:localhost|127\.0\.0\.1|\[::1\]):\*"
_ORIGIN = rf"^(?:\*|https?://{_HOST}{_PORT}|{_LOOPBACK_ANY_PORT}|(?:capacitor|ionic|tauri)://{_HOST})$"
"""Apps made with Capacitor, Ionic and Tauri send origins with a scheme of their own."""
_BUCKET = "^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"
_WILDCARDS = f"* after one of {', '.join(f'{kind}/' for kind in WILDCARD_KINDS)}"
_CALLBACK_URLS = rf"{_CALLBACK_URL[:-1]}(?:; ?{_CALLBACK_URL[1:-1]}){{0,4}}$"
_ROLE_ARN = "^acs:ram::[0-9]+:role/[A-Za-z0-9.@_-]+$"
_MEDIA_TYPE = rf"^(?:[A-Za-z0-9!#&^_.+-]+/[A-Za-z0-9!#&^_.+-]+|(?:{'|'.join(WILDCARD_KINDS)})/\*)$"


def _schema(title: str, pattern: str, *examples: str | int, unit: str = "") -> dict[str, Any]:
    """Return the JSON Schema of a type, where a text may also contain `${NAME}`; `unit` explains plain numbers."""
    number = {"type": ["string", "integer"], "minimum": 0} if isinstance(examples[-1], int) else {"type": "string"}
    schema = {"title": title, **number, "pattern": pattern + OR_REFERENCE, "examples": [*examples]}
    return {**schema, "x-unit": unit} if unit else schema


class _Text:
    """The annotation of a text type: its title, pattern and examples for editors, and how it is validated.

    Without a function that validates, the value must match the pattern, and the hint is what to write.
    """

    def __init__(self, title: str, pattern: str, validate_or_hint: Callable[[str], str] | str, *examples: str) -> None:
        self.json_schema = _schema(title, pattern, *examples)
        if isinstance(validate_or_hint, str):
            article = "an" if title[0] in "aeiouO" else "a"
            self._validate = _matching(pattern, f"not {article} {title}; {validate_or_hint}")
        else:
            self._validate = validate_or_hint

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.json_schema.copy()


def _matching(pattern: str, reason: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def validate(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(reason)
        return value

    return validate


def _bucket(value: str) -> str:
    """Return a bucket name.

    See: https://help.aliyun.com/zh/oss/user-guide/bucket-naming-conventions
    """
    if re.fullmatch(_BUCKET, value):
        return value
    if re.match(r"(?:oss|https?)://|.*\.aliyuncs\.com", value):
        raise ValueError("not a bucket name but an address; write the name alone, like photos-prod")
    reasons = (
        (any(c.isupper() for c in value), "it has capital letters"),
        ("_" in value, "it has an underscore"),
        ("." in value, "it has a dot"),
        (re.search(r"\s", value), "it has a space"),
        (len(value) < 3, f"it has {len(value)} characters"),
        (len(value) > 63, f"it has {len(value)} characters"),
        (value.startswith("-") or value.endswith("-"), "it has a hyphen at an end"),
    )
    reason = next((reason for applies, reason in reasons if applies), "it has other characters")
    raise ValueError(f"not a bucket name: {reason}; use 3 to 63 of a-z, 0-9 and -, without a - at either end")


def _authority_fix(value: str) -> str | None:
    """Return how to fix the port or the IPv6 address of a URL; None if they are right."""
    authority = re.split("[/?#]", value.partition("://")[2] or value, maxsplit=1)[0]
    host, _, port = authority.rpartition(":") if re.search(":[0-9]{1,5}$", authority) else (authority, "", "")
    if port and int(port) > 65535:
        return "write a port of at most 65535"
    with contextlib.suppress(ValueError):
        if not re.fullmatch(r"[\[\]0-9A-Fa-f:.]*[\[:][\[\]0-9A-Fa-f:.]*", host) or (
            host[0] + host[-1] == "[]" and ip_address(host[1:-1]).version == 6
        ):
            return None
    return "write an IPv6 address in brackets, like http://[::1]:8080"


def _base_url(value: str) -> str:
    if not re.fullmatch(_BASE_URL, value) or _authority_fix(value):
        fix = "write it like https://upload.example.com"
        if "?" in value or "#" in value:
            fix = "remove everything from the ? or # on"
        raise ValueError(f"not a base URL; {_authority_or_scheme_fix(value) or fix}")
    return value.rstrip("/")


def _url(value: str, pattern: str = _URL) -> str:
    """Return an address that is used as it is, with path and query.

    See: https://www.rfc-editor.org/rfc/rfc3986#section-3.3
    """
    if not re.fullmatch(pattern, value) or _authority_fix(value):
        fix = "write it like https://api.example.com/uploads?key=value"
        if "#" in value:
            fix = "remove everything from the # on"
        elif value.startswith(("http://", "https://")) and not re.search(r"@[^/?]*(?:[/?]|$)", value):
            fix = "write other characters than letters, digits and -._~!$&'()*+,=:@/? as %XX"
        raise ValueError(f"not a URL; {_authority_or_scheme_fix(value) or fix}")
    return value


def _authority_or_scheme_fix(value: str) -> str | None:
    if fix := _authority_fix(value):
        return fix
    return "write https:// before it" if re.fullmatch(f"{_HOST}{_PORT}(/.*)?", value) and "." in value else None


def _callback_urls(value: str) -> str:
    urls = value.split(";")
    if len(urls) > 5:
        raise ValueError(f"{len(urls)} URLs are more than OSS accepts; write at most 5")
    return ";".join(_url(url.strip(), _CALLBACK_URL) for url in urls)


def _address_text(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError("not an address but a port; write host:port, like 0.0.0.0:5000, or unix:/path")
    return value


def _address(value: str) -> str:
    ListenAddress.parse(value)
    return value


def _file_path(value: str) -> str:
    # ${file:PATH}, which people try first, would put the key itself here.
    if not value or "\n" in value or value.startswith("-----"):
        raise ValueError("not a file name; write the path of the PEM file, not its contents")
    return value


def _origin(value: str) -> str:
    if not re.fullmatch(_ORIGIN, value) or _authority_fix(value):
        path = re.match(r"https?://[^/]+/", value)
        fix = "end it after the host, without / or a path" if path else "write it like https://h5.example.com"
        raise ValueError(f"not an origin; {fix}")
    return value


def _role_arn(value: str) -> str:
    if not re.fullmatch(_ROLE_ARN, value):
        other = re.match(r"acs:ram::[0-9]*:(user|group|policy|root)", value)
        what = f"not the ARN of a role but of a {other[1]}" if other else "not the ARN of a role"
        raise ValueError(f"{what}; write acs:ram::<account id>:role/<name>")
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as error:
        has_host_bits = "host bits" in str(error)
        fix = f"write {ip_network(value, strict=False)}" if has_host_bits else "write 10.0.0.0/8, or one address"
        raise ValueError(f"not a network; {fix}") from None
    return value


def _redis_address(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        parse_redis_url(value.get_secret_value())
    return value


def _queue_address(value: SecretStr | None) -> SecretStr | None:
    return _redis_address(value) if value is not None and "://" in value.get_secret_value() else value


def _webhook_secret(value: SecretStr) -> SecretStr:
    signing_key(value.get_secret_value())
    return value


def _empty_as_none(value: object) -> object:
    return None if value == "" else value


EmptyAsNone = BeforeValidator(_empty_as_none)

_DURATION = _schema(
    "duration", DURATION_PATTERN, "90s", "15m", "3h", "1d", 900, unit="s m h d; a plain number is seconds"
)
_SIZE_UNITS = "B KiB MiB GiB KB MB GB; a plain number is bytes"
_SIZE = _schema("size", SIZE_PATTERN, "512KiB", "10MiB", "5GB", 1048576, unit=_SIZE_UNITS)
_RATE = _schema("rate", RATE_PATTERN, "100/s", "30/m", "1000/h", unit="per s m h d")
_BYTE_RATE = _schema("byte rate", BYTE_RATE_PATTERN, "500MiB/d", "2GiB/h", unit="B KiB MiB GiB KB MB GB per s m h d")
Duration = Annotated[timedelta, BeforeValidator(parse_duration), WithJsonSchema(_DURATION)]
Size = Annotated[int, BeforeValidator(parse_size), WithJsonSchema(_SIZE)]
Rate = Annotated[tuple[int, int], BeforeValidator(parse_rate), WithJsonSchema(_RATE)]
ByteRate = Annotated[tuple[int, int], BeforeValidator(parse_byte_rate), WithJsonSchema(_BYTE_RATE)]

BaseUrl = Annotated[str, _Text("URL", _BASE_URL, _base_url, "https://upload.example.com")]
Url = Annotated[str, _Text("URL", _URL, _url, "https://api.example.com/uploads")]
CallbackUrls = Annotated[str, _Text("URLs", _CALLBACK_URLS, _callback_urls, "https://api.example.com/oss")]
Origin = Annotated[str, _Text("origin", _ORIGIN, _origin, "https://h5.example.com")]
Address = Annotated[
    str,
    BeforeValidator(_address_text),
    _Text("address", LISTEN_ADDRESS_PATTERN, _address, "0.0.0.0:5000", "127.0.0.1:9180"),
]
RedisAddress = Annotated[SecretStr | None, AfterValidator(_redis_address)]
QueueAddress = Annotated[SecretStr | None, AfterValidator(_queue_address)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
Network = Annotated[str, _Text("network", "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$", _network, "10.0.0.0/8", "127.0.0.1")]
FilePath = Annotated[str, _Text("file", "^[^\n]+$", _file_path, "/etc/oss-signer/tls/fullchain.pem")]
Bucket = Annotated[str, _Text("bucket name", _BUCKET, _bucket, "photos-prod")]
Region = Annotated[
    str, _Text("region id", regions.PATTERN, regions.validate_region, "cn-hangzhou", "cn-shanghai", "ap-southeast-1")
]
MediaType = Annotated[
    str,
    _Text("media type", _MEDIA_TYPE, f"write one like image/jpeg, or {_WILDCARDS}", "image/jpeg", "image/*"),
]
RoleArn = Annotated[str, _Text("role ARN", _ROLE_ARN, _role_arn, "acs:ram::1234567890123456:role/oss-upload")]
OidcProviderArn = Annotated[
    str,
    _Text(
        "OIDC provider ARN",
        "^acs:ram::[0-9]+:oidc-provider/[A-Za-z0-9._-]+$",
        "write acs:ram::<account id>:oidc-provider/<name>",
        "acs:ram::1234567890123456:oidc-provider/ack-rrsa-c1",
    ),
]
SessionName = Annotated[
    str, _Text("session name", "^[A-Za-z0-9.@_-]{2,64}$", "use 2 to 64 letters, digits, . @ _ and -", "oss-signer")
]
Sha256 = Annotated[str, _Text("SHA-256", HASH_PATTERN, validate_hash, EXAMPLE_HASH)]
AppId = Annotated[
    str, _Text("app id", "^[A-Za-z0-9_-]{1,64}$", "use 1 to 64 letters, digits, _ and -", "wx1234567890abcdef")
]
MetaName = Annotated[
    str, _Text("metadata name", "^[a-z0-9-]{1,64}$", "use a to z, 0 to 9 and -, without x-oss-meta-", "team")
]
