"""The model of `downloads` of an app: signed URLs that read objects."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from signer.definitions.credential_model import StrictModel
from signer.definitions.value_types import BaseUrl, Duration
from signer.signing.object_key import InvalidTemplate, Template

STYLE_NAME = "^[A-Za-z0-9_-]{1,64}$"
_PROCESS = "^(?:image|video|audio|doc|imm|style)/[A-Za-z0-9_.,/+=-]{1,1000}$"
"""`x-oss-process` of GetObject. `|` chains actions that write objects, and `sys/saveas` is one of them.

See: https://help.aliyun.com/zh/oss/user-guide/img-implementation-modes
"""
_PREFIX = "^[^/].*/$"
_WILDCARDS = ("*", "?")
_PLACEHOLDERS = frozenset({"app"})


def _check_process(value: str) -> str:
    if not re.fullmatch(_PROCESS, value):
        raise ValueError(
            "not a value of x-oss-process for reading; write one like image/resize,w_200/format,webp, "
            "video/snapshot,t_0 or style/NAME"
        )
    return value


def _check_also(value: str) -> str:
    """Return a prefix below which every caller may read.

    RAM treats `*` and `?` in the resource of a session policy as wildcards.
    See: https://help.aliyun.com/zh/ram/policy-elements
    """
    if any(character in value for character in _WILDCARDS):
        raise ValueError("not a prefix but a pattern; write the prefix alone, like banners/")
    try:
        Template.parse(value, _PLACEHOLDERS)
    except InvalidTemplate as error:
        raise ValueError(f"not a prefix: it {error}; write one like banners/ or {{app}}/public/") from None
    if not value.endswith("/") or len(value) < 2:
        fix = f"write {value}/" if value.strip("/") else "write one like banners/"
        raise ValueError(f"not a prefix that ends with /, so it would include longer names too; {fix}")
    return value


Process = Annotated[
    str,
    AfterValidator(_check_process),
    WithJsonSchema(
        {
            "title": "x-oss-process",
            "type": "string",
            "pattern": rf"{_PROCESS}|\$\{{",
            "examples": ["image/resize,w_200/format,webp", "video/snapshot,t_0", "style/thumb"],
        }
    ),
]
AlsoPrefix = Annotated[
    str,
    AfterValidator(_check_also),
    WithJsonSchema(
        {"title": "prefix", "type": "string", "pattern": rf"{_PREFIX}|\$\{{", "examples": ["banners/", "{app}/public/"]}
    ),
]


def _styles_schema() -> dict[str, Any]:
    return {"propertyNames": {"pattern": STYLE_NAME}}


class Downloads(StrictModel):
    """Signed URLs that read objects below a caller's own prefix, which needs `{caller}` or `{caller_hash}` in
    `key_prefix`, or below `also`; needs `oss:GetObject` for the role."""

    expires: Duration = Field(timedelta(minutes=5), examples=["30m"])
    """How long a URL is valid at least."""
    window: Duration = Field(timedelta(), examples=["10m"])
    """How long a signer returns the same URL for the same object, so that caches of clients and CDNs find it again; a
    URL is valid for up to `window` longer than `expires`. Both together must be at least 5m shorter than the lifetime
    of the role's tokens. Default: each response has new URLs."""
    domain: BaseUrl | None = Field(None, examples=["https://img.example.com"])
    """Domain of yours that is bound to the bucket, or its CDN, for reading; default: `domain` of the app. OSS makes
    browsers save objects at its own domains, and show them at yours."""
    styles: dict[str, Process] = Field(
        {},
        examples=[{"thumb": "image/resize,w_200/format,webp", "cover": "video/snapshot,t_0"}],
        json_schema_extra=_styles_schema(),
    )
    """Values of `x-oss-process` by a name of your choice, which clients request as `style`; they can send no other."""
    disposition: Literal["inline", "attachment"] | None = Field(None, examples=["inline"])
    """`inline`: browsers show objects; `attachment`: they save them, under the name of the file that was uploaded.
    Default: what the object was stored with."""
    also: tuple[AlsoPrefix, ...] = Field((), examples=[["banners/", "{app}/public/"]])
    """Prefixes that every caller of the app may read, each with `/` at its end; `{app}` stands for the app's id."""


def also_prefixes(app_id: str, downloads: Downloads) -> tuple[str, ...]:
    """Return the prefixes that every caller of an app may read."""
    return tuple(prefix.replace("{app}", app_id) for prefix in downloads.also)
