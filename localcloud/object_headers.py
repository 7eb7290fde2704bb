"""The headers that are stored with an object, and the checks of its ACL and storage class.

See: https://help.aliyun.com/zh/oss/developer-reference/putobject
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.oss_errors import OssError, invalid_argument, not_implemented

_STORED = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_META = "x-oss-meta-"
ENCRYPTION = "x-oss-server-side-encryption"
_MAX_META_BYTES = 8 * 1024
_ACLS = ("default", "private", "public-read", "public-read-write")
_STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
DEFAULT_TYPE = "application/octet-stream"


def stored_headers(sent: Mapping[str, str]) -> dict[str, str]:
    """Return what GetObject sends back, by lower-case name: Cache-Control and the like, x-oss-meta-*, the encryption.

    Raise MetadataTooLarge, or `OssError` for an encryption that does not exist or is not implemented.
    """
    named = {name.lower(): value for name, value in sent.items()}
    kept = {name: value for name, value in named.items() if name in _STORED or name.startswith(_META)}
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
