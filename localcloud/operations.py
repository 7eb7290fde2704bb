"""The implemented operations of OSS: how a request names one, and which parameters and headers it accepts.

A query parameter or an `x-oss-` header that is not listed here is refused with 501 NotImplemented, which names it: the
local cloud never reports success for something that it did not do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.oss_errors import OssError, not_implemented

_SIGNATURE_PARAMETERS = frozenset(
    {
        "x-oss-signature-version",
        "x-oss-credential",
        "x-oss-date",
        "x-oss-expires",
        "x-oss-signature",
        "x-oss-additional-headers",
        "x-oss-security-token",
    }
)
_COMMON_HEADERS = frozenset({"x-oss-date", "x-oss-content-sha256", "x-oss-security-token", "x-oss-user-agent"})
_META = "x-oss-meta-"
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

_CALLBACK_HEADERS = frozenset({"x-oss-callback", "x-oss-callback-var"})
_CALLBACK_PARAMETERS = frozenset({"callback", "callback-var"})
_LISTING = frozenset({"prefix", "delimiter", "encoding-type"})


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """As the documentation names it."""
    method: str
    on_object: bool
    """Whether the request names an object; otherwise a bucket."""
    selectors: frozenset[str] = frozenset()
    """The query parameters that select this operation."""
    parameters: frozenset[str] = frozenset()
    """The other query parameters that it accepts."""
    headers: frozenset[str] = frozenset()
    """The `x-oss-` headers that it accepts."""
    ignored: frozenset[str] = frozenset()
    """The `x-oss-` headers that have no effect, as on OSS: the SDKs send those of an object with each call."""
    accepts_metadata: bool = False
    """Whether it accepts or, as on OSS, ignores `x-oss-meta-` headers."""
    permission: str = ""
    """The RAM action, without `oss:`; "" if it is the operation's name."""
    is_public: bool = False
    """Whether it is open to requests without a signature."""

    @property
    def ram_action(self) -> str:
        return f"oss:{self.permission or self.name}"

    @property
    def transfers_data(self) -> bool:
        """Whether it works on objects, which OSS refuses to new accounts at public endpoints of the mainland."""
        return self.on_object or self.name in ("PostObject", "ListObjectsV2", "ListMultipartUploads")

    def check(self, query: Iterable[str], headers: Iterable[str]) -> None:
        """Raise NotImplemented for the first parameter or header that is not implemented."""
        for name in query:
            if name not in self.selectors | self.parameters | _SIGNATURE_PARAMETERS:
                raise not_implemented(f"The query parameter {name} of {self.name}", name)
        for name in (each.lower() for each in headers):
            is_metadata = self.accepts_metadata and name.startswith(_META)
            if (
                name.startswith("x-oss-")
                and not is_metadata
                and name not in self.headers | self.ignored | _COMMON_HEADERS
            ):
                raise not_implemented(f"The header {name} of {self.name}", name)


PREFLIGHT = Operation("OptionObject", "OPTIONS", on_object=True)

_OPERATIONS = (
    Operation("PostObject", "POST", on_object=False, headers=frozenset({"x-oss-object-acl"}), permission="PutObject"),
    Operation(
        "PutObject",
        "PUT",
        on_object=True,
        parameters=_CALLBACK_PARAMETERS,
        headers=_CALLBACK_HEADERS
        | {"x-oss-object-acl", "x-oss-storage-class", "x-oss-forbid-overwrite", "x-oss-server-side-encryption"},
        accepts_metadata=True,
    ),
    Operation("GetObject", "GET", on_object=True, headers=frozenset({"x-oss-range-behavior"}), is_public=True),
    Operation("HeadObject", "HEAD", on_object=True, permission="GetObject", is_public=True),
    Operation("DeleteObject", "DELETE", on_object=True),
    Operation(
        "ListObjectsV2",
        "GET",
        on_object=False,
        selectors=frozenset({"list-type"}),
        parameters=frozenset({"prefix", "continuation-token", "max-keys", "encoding-type"}),
        permission="ListObjects",
        is_public=True,
    ),
    Operation("GetBucketInfo", "GET", on_object=False, selectors=frozenset({"bucketInfo"})),
    Operation("GetBucketLocation", "GET", on_object=False, selectors=frozenset({"location"})),
    Operation("GetBucketCors", "GET", on_object=False, selectors=frozenset({"cors"})),
    Operation("PutBucketCors", "PUT", on_object=False, selectors=frozenset({"cors"})),
    Operation("DeleteBucketCors", "DELETE", on_object=False, selectors=frozenset({"cors"})),
    Operation("GetBucketLifecycle", "GET", on_object=False, selectors=frozenset({"lifecycle"})),
    Operation("PutBucketLifecycle", "PUT", on_object=False, selectors=frozenset({"lifecycle"})),
    Operation("DeleteBucketLifecycle", "DELETE", on_object=False, selectors=frozenset({"lifecycle"})),
    Operation(
        "InitiateMultipartUpload",
        "POST",
        on_object=True,
        selectors=frozenset({"uploads"}),
        parameters=frozenset({"encoding-type"}),
        headers=frozenset({"x-oss-storage-class", "x-oss-forbid-overwrite", "x-oss-server-side-encryption"}),
        ignored=_CALLBACK_HEADERS | {"x-oss-object-acl"},
        accepts_metadata=True,
        permission="PutObject",
    ),
    Operation(
        "UploadPart",
        "PUT",
        on_object=True,
        selectors=frozenset({"partNumber", "uploadId"}),
        ignored=_CALLBACK_HEADERS | {"x-oss-object-acl", "x-oss-forbid-overwrite"},
        accepts_metadata=True,
        permission="PutObject",
    ),
    Operation(
        "CompleteMultipartUpload",
        "POST",
        on_object=True,
        selectors=frozenset({"uploadId"}),
        parameters=_CALLBACK_PARAMETERS | {"encoding-type"},
        headers=_CALLBACK_HEADERS | {"x-oss-object-acl", "x-oss-forbid-overwrite", "x-oss-complete-all"},
        accepts_metadata=True,
        permission="PutObject",
    ),
    Operation("AbortMultipartUpload", "DELETE", on_object=True, selectors=frozenset({"uploadId"})),
    Operation(
        "ListParts",
        "GET",
        on_object=True,
        selectors=frozenset({"uploadId"}),
        parameters=frozenset({"max-parts", "part-number-marker", "encoding-type"}),
    ),
    Operation(
        "ListMultipartUploads",
        "GET",
        on_object=False,
        selectors=frozenset({"uploads"}),
        parameters=_LISTING | {"max-uploads", "key-marker", "upload-id-marker"},
    ),
)


def find_operation(method: str, key: str, query: Mapping[str, str]) -> Operation:
    """Return the operation whose selectors are all in the query. Raise NotImplemented if there is none."""
    if method == "OPTIONS":
        return PREFLIGHT
    if method not in _METHODS:
        raise OssError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    candidates = [
        each
        for each in _OPERATIONS
        if each.method == method and each.on_object == bool(key) and each.selectors <= query.keys()
    ]
    if candidates:
        return max(candidates, key=lambda each: len(each.selectors))
    unsigned = [name for name in query if name not in _SIGNATURE_PARAMETERS]
    target = "an object" if key else "a bucket"
    if unsigned:
        raise not_implemented(f"{method} of {target} with the query parameter {unsigned[0]}", unsigned[0])
    raise not_implemented(f"{method} of {target}", method)
