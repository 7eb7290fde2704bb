"""The headers that are stored with an object, and the checks of its ACL and storage class.

See: https://help.aliyun.com/zh/oss/developer-reference/putobject
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.oss_errors import OssError, invalid_argument

_STORED = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_META = "x-oss-meta-"
_MAX_META_BYTES = 8 * 1024
_ACLS = ("default", "private", "public-read", "public-read-write")
_STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
DEFAULT_TYPE = "application/octet-stream"


def stored_headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Return Cache-Control and similar headers and x-oss-meta-*, by lower-case name. Raise MetadataTooLarge."""
    named = {name.lower(): value for name, value in sent.items()}
    kept = {name: value for name, value in named.items() if name in _STORED or name.startswith(_META)}
    if sum(len((name + value).encode()) for name, value in kept.items() if name.startswith(_META)) > _MAX_META_BYTES:
        raise OssError(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
    return kept


def acl_of(sent: Mapping[str, str]) -> str:
    """Return the ACL. Raise InvalidArgument if there is no such ACL."""
    acl = sent.get("x-oss-object-acl", "default")
    if acl not in _ACLS:
        raise invalid_argument("no such object acl", "0006-00000103", "x-oss-object-acl", acl)
    return acl


def storage_class_of(sent: Mapping[str, str]) -> str:
    """Return the storage class. Raise InvalidArgument if there is no such class."""
    storage_class = sent.get("x-oss-storage-class", _STORAGE_CLASSES[0])
    if storage_class not in _STORAGE_CLASSES:
        raise invalid_argument("The storage class is invalid.", "", "x-oss-storage-class", storage_class)
    return storage_class


def forbids_overwrite(sent: Mapping[str, str]) -> bool:
    return sent.get("x-oss-forbid-overwrite", "").lower() == "true"


def already_exists(ec: str) -> OssError:
    """Return the error of x-oss-forbid-overwrite for a key that exists."""
    message = "The object you specified already exists and can not be overwritten."
    return OssError(409, "FileAlreadyExists", message, ec)
