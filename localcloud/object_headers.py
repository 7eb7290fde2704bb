"""The headers that are stored with an object, and the checks of its ACL and storage class.

See: https://help.aliyun.com/zh/oss/developer-reference/putobject
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from localcloud.oss_errors import OssError, invalid_argument, not_implemented

_STORED = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_META = "x-oss-meta-"
ENCRYPTION = "x-oss-server-side-encryption"
_MAX_META_BYTES = 8 * 1024
_ACLS = ("default", "private", "public-read", "public-read-write")
ARCHIVES = ("Archive", "ColdArchive", "DeepColdArchive")
"""The storage classes whose objects must be restored before they can be read."""
_STORAGE_CLASSES = ("Standard", "IA", *ARCHIVES)
DEFAULT_TYPE = "application/octet-stream"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
"""What no value of a header may contain. A form and a query can."""


def check_header(name: str, value: str) -> str:
    """Return the value. Raise InvalidArgument if no response could have it as a header.

    See: https://help.aliyun.com/zh/oss/user-guide/0017-00000205
    """
    if not _NAME.fullmatch(name) or _CONTROL.search(value):
        raise invalid_argument("The parameter contains invalid characters.", "0017-00000205", ascii(name), ascii(value))
    return value


def stored_headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Return what GetObject sends back, by lower-case name: Cache-Control and the like, x-oss-meta-*, the encryption.

    Raise MetadataTooLarge, or `OssError` for an encryption that does not exist or is not implemented.
    """
    named = {name.lower(): value for name, value in sent.items()}
    kept = {
        name: check_header(name, value) for name, value in named.items() if name in _STORED or name.startswith(_META)
    }
    if sum(len((name + value).encode()) for name, value in kept.items() if name.startswith(_META)) > _MAX_META_BYTES:
        raise OssError(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size.")
    if ENCRYPTION in named:
        kept[ENCRYPTION] = _encryption(named[ENCRYPTION])
    return kept


def encryption_header(stored: Mapping[str, str]) -> dict[str, str]:
    """Return the header of the responses to PutObject, InitiateMultipartUpload and CompleteMultipartUpload."""
    return {ENCRYPTION: stored[ENCRYPTION]} if ENCRYPTION in stored else {}


def _encryption(algorithm: str) -> str:
    """OSS encrypts and decrypts with AES256 without an effect that a client could see."""
    if algorithm in ("KMS", "SM4"):
        raise not_implemented(f"Encryption with {algorithm}", ENCRYPTION)
    if algorithm != "AES256":
        message = "The encryption request you specified is not valid. Supported value: AES256."
        raise OssError(400, "InvalidEncryptionAlgorithmError", message)
    return algorithm


def acl_of(sent: Mapping[str, str]) -> str:
    """Return the ACL. Raise InvalidArgument if there is no such ACL.

    See: https://help.aliyun.com/zh/oss/support/0017-00000104 and .../0017-00000105
    """
    acl = sent.get("x-oss-object-acl", "default")
    if acl not in _ACLS:
        ec = "0017-00000104" if acl else "0017-00000105"
        raise invalid_argument("no such object acl", ec, "x-oss-object-acl", acl)
    return acl


def storage_class_of(sent: Mapping[str, str]) -> str:
    """Return the storage class. Raise InvalidArgument if there is no such class."""
    storage_class = sent.get("x-oss-storage-class", _STORAGE_CLASSES[0])
    if storage_class not in _STORAGE_CLASSES:
        raise invalid_argument("The storage class is invalid.", "", "x-oss-storage-class", storage_class)
    return storage_class


def is_true(given: Mapping[str, str], name: str) -> bool:
    """Return whether a value is `true`; it is `false` by default. Raise InvalidArgument for any other."""
    value = given.get(name, "false")
    if value.lower() not in ("true", "false"):
        raise invalid_argument(f"The {name} must be true or false.", "", name, value)
    return value.lower() == "true"


def overwrite_check(sent: Mapping[str, str], ec: str) -> Callable[[object], None]:
    """Return the check of x-oss-forbid-overwrite: it raises FileAlreadyExists for an object that exists."""
    is_forbidden = is_true(sent, "x-oss-forbid-overwrite")

    def check(current: object) -> None:
        if is_forbidden and current is not None:
            message = "The object you specified already exists and can not be overwritten."
            raise OssError(409, "FileAlreadyExists", message, ec)

    return check
