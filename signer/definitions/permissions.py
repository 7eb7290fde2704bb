"""Which actions of OSS an app needs, below which prefixes: for the session policy of `scope: app`, and `policies`.

See: https://help.aliyun.com/zh/oss/user-guide/authorization-syntax-and-elements
"""

from collections.abc import Mapping, Sequence


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
        # A repeated completion asks for the object that the first one has made.
        actions.append("oss:GetObject")
    if deletes:
        actions.append("oss:DeleteObject")
    if multipart:
        actions += ["oss:ListParts", "oss:AbortMultipartUpload"]
    return {**dict.fromkeys(also_readable, ("oss:GetObject",)), prefix: tuple(actions)}
