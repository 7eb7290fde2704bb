"""The models of multipart uploads: `multipart` and `oss_endpoint` of an app, and `server.secret`."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from signer.definitions.credential_model import StrictModel
from signer.definitions.value_types import BaseUrl, Duration, Size

INTERNAL = "internal"
MIN_SECRET_CHARACTERS = 32
SECRET_COMMAND = "openssl rand -hex 32"  # noqa: S105
"""Makes a value of `server.secret`."""


def _check_length(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"the secret is too short; write at least {MIN_SECRET_CHARACTERS} characters, made with: {SECRET_COMMAND}"
        )
    return value


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _internal_or_url(value: Any, url: ValidatorFunctionWrapHandler) -> Any:
    return value if value == INTERNAL else url(value)


Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_check_length)], ...],
    BeforeValidator(_as_list),
    WithJsonSchema({"title": "secret or list of secrets", "type": ["string", "array"], "items": {"type": "string"}}),
]
"""The first one encrypts, each decrypts."""
OssEndpoint = Annotated[
    BaseUrl,
    WrapValidator(_internal_or_url),
    WithJsonSchema(
        {
            "title": "endpoint",
            "type": "string",
            "pattern": r"^internal$|^https?://|\$\{",
            "examples": [INTERNAL, "https://oss-cn-hangzhou-internal.aliyuncs.com"],
        }
    ),
]


def endpoint_url(endpoint: str, bucket: str, region: str) -> str:
    """Return the URL of a bucket at an `oss_endpoint`; a host that is an address gets the bucket in the path."""
    url = urlsplit(f"https://oss-{region}-internal.aliyuncs.com" if endpoint == INTERNAL else endpoint)
    try:
        ip_address(url.hostname or "")
    except ValueError:
        return f"{url.scheme}://{bucket}.{url.netloc}"
    return f"{url.scheme}://{url.netloc}/{bucket}"


class Multipart(StrictModel):
    """Uploads of large files in parts, which can be resumed; needs `server.secret`, and for the role `oss:PutObject`,
    `oss:GetObject`, `oss:ListParts` and `oss:AbortMultipartUpload`."""

    threshold: Size = Field(20 * 2**20, examples=["20MiB"])
    """Size from which clients use parts instead of a form; files larger than the app's `max_size` always need parts."""
    part_size: Size = Field(2**20, examples=["1MiB"])
    """Size of a part, from 100KiB to 5GiB; clients may propose another one, and a file has at most 10,000 parts."""
    max_size: Size = Field(2 * 2**30, examples=["2GiB"])
    """Maximum file size, at most 50000GiB; `max_size` of the app is that of forms, `min_size` is that of both."""
    expires: Duration = Field(timedelta(hours=24), examples=["24h"])
    """How long an upload can be resumed, from 1m to 30d."""
