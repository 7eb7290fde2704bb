"""Follows a symbolic link to its target, which the reader must be allowed to read too.

PutSymlink checks neither whether the target exists nor whether its caller may read it. GetObject and HeadObject do.

See: https://help.aliyun.com/zh/oss/developer-reference/putsymlink and .../getobject
"""

from __future__ import annotations

from dataclasses import replace

from localcloud.objects import Objects, StoredObject
from localcloud.oss_errors import OssError
from localcloud.oss_request import OssRequest
from localcloud.public_access import check_public_read
from localcloud.world import World


def follow(world: World, objects: Objects, request: OssRequest, stored: StoredObject) -> tuple[str, StoredObject]:
    """Return the key with the content, and what describes it; of an object that is no link, the object itself.

    Size, ETag and CRC are those of the target, Last-Modified is the later of the two, and the rest is the link's.

    Raise AccessDenied, SymlinkTargetNotExist, or InvalidTargetType if the target is a link.
    """
    key = stored.symlink_target
    if key is None:
        return stored.key, stored
    bucket = request.bucket
    if request.signer is None:
        check_public_read(world, objects, bucket, key)
    else:
        request.signer.check_permission("oss:GetObject", bucket.name, key)
    target = objects.find(bucket.name, key)
    if target is None:
        message = "The symlink target object does not exist."
        raise OssError(404, "SymlinkTargetNotExist", message, "0026-00000012")
    if target.symlink_target is not None:
        raise OssError(400, "InvalidTargetType", "The symlink's target object type is invalid.")
    return key, replace(
        stored,
        size_bytes=target.size_bytes,
        etag=target.etag,
        crc64=target.crc64,
        last_modified=max(stored.last_modified, target.last_modified),
    )
