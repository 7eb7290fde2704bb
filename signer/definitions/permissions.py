"""Which actions of OSS an app needs, below which prefixes: for the session policy of `scope: app`, and `policies`.

See: https://help.aliyun.com/zh/oss/user-guide/authorization-syntax-and-elements
"""

from collections.abc import Mapping


def object_permissions(prefix: str, *, downloads: bool, multipart: bool) -> Mapping[str, tuple[str, ...]]:
    """Return the actions by the prefix below which they are needed."""
    actions = ["oss:PutObject"]
    if downloads or multipart:
        # A repeated completion asks for the object that the first one has made.
        actions.append("oss:GetObject")
    if multipart:
        actions += ["oss:ListParts", "oss:AbortMultipartUpload"]
    return {prefix: tuple(actions)}
