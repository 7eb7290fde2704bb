"""The table of the operations of OSS that the local cloud implements.

A query parameter or an `x-oss-` header that is not listed here is refused with 501 NotImplemented, which names it: the
local cloud never reports success for something that it did not do.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.operation import SIGNATURE_PARAMETERS, Operation
from localcloud.oss_errors import OssError, not_implemented

_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

_CALLBACK_HEADERS = frozenset({"x-oss-callback", "x-oss-callback-var"})
_CALLBACK_PARAMETERS = frozenset({"callback", "callback-var"})
_LISTING = frozenset({"prefix", "delimiter", "encoding-type"})
_NEW_OBJECT = frozenset(
    {"x-oss-storage-class", "x-oss-forbid-overwrite", "x-oss-server-side-encryption", "x-oss-tagging"}
)
"""What determines an object when it is created."""
_OBJECT = _NEW_OBJECT | {"x-oss-object-acl"}
_RESPONSE = frozenset(
    {
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
    }
)
_COPY_SOURCE = frozenset(
    {
        "x-oss-copy-source",
        "x-oss-copy-source-if-match",
        "x-oss-copy-source-if-none-match",
        "x-oss-copy-source-if-modified-since",
        "x-oss-copy-source-if-unmodified-since",
    }
)


def _on_bucket(name: str, method: str, selector: str) -> Operation:
    return Operation(name, method, on_object=False, selectors=frozenset({selector}), accepts_body=method == "PUT")


def _on_object(
    name: str, method: str, selector: str, *headers: str, accepts_body: bool = False, permission: str = ""
) -> Operation:
    return Operation(
        name,
        method,
        on_object=True,
        selectors=frozenset({selector}),
        headers=frozenset(headers),
        accepts_body=accepts_body,
        permission=permission,
    )


PREFLIGHT = Operation("OptionObject", "OPTIONS", on_object=True)

OPERATIONS = (
    Operation(
        "PostObject",
        "POST",
        on_object=False,
        accepts_body=True,
        headers=frozenset({"x-oss-object-acl"}),
        permission="PutObject",
    ),
    Operation(
        "PutObject",
        "PUT",
        on_object=True,
        accepts_body=True,
        parameters=_CALLBACK_PARAMETERS,
        headers=_CALLBACK_HEADERS | _OBJECT,
        accepts_metadata=True,
        is_publicly_writable=True,
    ),
    Operation(
        "CopyObject",
        "PUT",
        on_object=True,
        selecting_header="x-oss-copy-source",
        headers=_COPY_SOURCE | _OBJECT | {"x-oss-metadata-directive", "x-oss-tagging-directive"},
        accepts_metadata=True,
        permission="PutObject",
    ),
    Operation(
        "AppendObject",
        "POST",
        on_object=True,
        accepts_body=True,
        selectors=frozenset({"append"}),
        parameters=frozenset({"position"}),
        headers=frozenset({"x-oss-object-acl", "x-oss-storage-class", "x-oss-server-side-encryption", "x-oss-tagging"}),
        accepts_metadata=True,
        permission="PutObject",
        is_publicly_writable=True,
    ),
    Operation(
        "GetObject",
        "GET",
        on_object=True,
        parameters=_RESPONSE | {"x-oss-process"},
        headers=frozenset({"x-oss-range-behavior"}),
        is_public=True,
    ),
    Operation("HeadObject", "HEAD", on_object=True, permission="GetObject", is_public=True),
    Operation(
        "PutSymlink",
        "PUT",
        on_object=True,
        selectors=frozenset({"symlink"}),
        headers=frozenset(
            {
                "x-oss-symlink-target",
                "x-oss-forbid-overwrite",
                "x-oss-object-acl",
                "x-oss-storage-class",
                "x-oss-tagging",
            }
        ),
        accepts_metadata=True,
        permission="PutObject",
    ),
    _on_object("GetSymlink", "GET", "symlink", permission="GetObject"),
    _on_object("GetObjectMeta", "HEAD", "objectMeta", permission="GetObject"),
    Operation("DeleteObject", "DELETE", on_object=True, is_publicly_writable=True),
    _on_object("GetObjectAcl", "GET", "acl"),
    _on_object("PutObjectAcl", "PUT", "acl", "x-oss-object-acl"),
    _on_object("GetObjectTagging", "GET", "tagging"),
    _on_object("PutObjectTagging", "PUT", "tagging", accepts_body=True),
    _on_object("DeleteObjectTagging", "DELETE", "tagging"),
    Operation(
        "DeleteMultipleObjects",
        "POST",
        on_object=False,
        accepts_body=True,
        selectors=frozenset({"delete"}),
        parameters=frozenset({"encoding-type"}),
        permission="DeleteObject",
    ),
    Operation(
        "ListObjects",
        "GET",
        on_object=False,
        parameters=_LISTING | {"marker", "max-keys"},
        permission="ListObjects",
        is_public=True,
    ),
    Operation(
        "ListObjectsV2",
        "GET",
        on_object=False,
        selectors=frozenset({"list-type"}),
        parameters=_LISTING | {"continuation-token", "max-keys", "start-after", "fetch-owner"},
        permission="ListObjects",
        is_public=True,
    ),
    Operation("PutBucket", "PUT", on_object=False, accepts_body=True, headers=frozenset({"x-oss-acl"})),
    _on_bucket("GetBucketAcl", "GET", "acl"),
    _on_bucket("GetBucketInfo", "GET", "bucketInfo"),
    _on_bucket("GetBucketLocation", "GET", "location"),
    _on_bucket("GetBucketCors", "GET", "cors"),
    _on_bucket("PutBucketCors", "PUT", "cors"),
    _on_bucket("DeleteBucketCors", "DELETE", "cors"),
    _on_bucket("GetBucketLifecycle", "GET", "lifecycle"),
    _on_bucket("PutBucketLifecycle", "PUT", "lifecycle"),
    _on_bucket("DeleteBucketLifecycle", "DELETE", "lifecycle"),
    Operation(
        "InitiateMultipartUpload",
        "POST",
        on_object=True,
        selectors=frozenset({"uploads"}),
        parameters=frozenset({"encoding-type"}),
        headers=_NEW_OBJECT,
        ignored=_CALLBACK_HEADERS | {"x-oss-object-acl"},
        accepts_metadata=True,
        permission="PutObject",
    ),
    Operation(
        "UploadPart",
        "PUT",
        on_object=True,
        accepts_body=True,
        selectors=frozenset({"partNumber", "uploadId"}),
        ignored=_CALLBACK_HEADERS | {"x-oss-object-acl", "x-oss-forbid-overwrite", "x-oss-tagging"},
        accepts_metadata=True,
        permission="PutObject",
    ),
    Operation(
        "CompleteMultipartUpload",
        "POST",
        on_object=True,
        accepts_body=True,
        selectors=frozenset({"uploadId"}),
        parameters=_CALLBACK_PARAMETERS | {"encoding-type"},
        headers=_CALLBACK_HEADERS | {"x-oss-object-acl", "x-oss-forbid-overwrite", "x-oss-complete-all"},
        ignored=frozenset({"x-oss-tagging"}),
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


LIST_BUCKETS = Operation("ListBuckets", "GET", on_object=False, parameters=frozenset({"prefix", "marker", "max-keys"}))


def find_operation(method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """Return the most specific operation that the request names. Raise NotImplemented if there is none."""
    if method == "OPTIONS":
        return PREFLIGHT
    if method not in _METHODS:
        raise OssError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    candidates = [
        each
        for each in OPERATIONS
        if each.method == method and each.on_object == bool(key) and each.is_named_by(query, headers)
    ]
    if candidates:
        return max(candidates, key=lambda each: len(each.selectors) + bool(each.selecting_header))
    target = "an object" if key else "a bucket"
    for name in query:
        if name not in SIGNATURE_PARAMETERS:
            raise not_implemented(f"{method} of {target} with the query parameter {name}", name)
    raise not_implemented(f"{method} of {target}", method)
