"""Which actions of OSS an app and its callers need, for session policies and for `policies`.

See: https://help.aliyun.com/zh/oss/user-guide/authorization-syntax-and-elements
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

_OF_PARTS = ("oss:ListParts", "oss:AbortMultipartUpload")
_OF_TEMPORARY_CREDENTIALS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"upload": ("oss:PutObject",), "multipart": ("oss:PutObject", *_OF_PARTS), "read": ("oss:GetObject",)}
)
"""The actions of RAM that each of the `actions` of temporary credentials means."""


def object_permissions(
    prefix: str, *, reads_own: bool, also_readable: Sequence[str], deletes: bool, multipart: bool
) -> Mapping[str, tuple[str, ...]]:
    """Return the actions by the prefix below which they are needed.

    Args:
        prefix: the fixed part of the prefix of uploads.
        reads_own: whether callers download objects below it.
        also_readable: the prefixes of other objects that they download.
        deletes: whether callers delete objects below `prefix`.
        multipart: whether uploads have several parts.
    """
    actions = ["oss:PutObject"]
    if reads_own or multipart or prefix in also_readable:
        # A repeated completion reads the object that the first one has made.
        actions.append("oss:GetObject")
    if deletes:
        actions.append("oss:DeleteObject")
    if multipart:
        actions += _OF_PARTS
    return {**dict.fromkeys(also_readable, ("oss:GetObject",)), prefix: tuple(actions)}


def ram_actions(actions: Sequence[str]) -> tuple[str, ...]:
    """Return the actions of RAM that these `actions` of temporary credentials mean, each once."""
    return tuple(dict.fromkeys(name for action in actions for name in _OF_TEMPORARY_CREDENTIALS[action]))
