"""What a request without a signature may read and write.

See: https://help.aliyun.com/zh/oss/user-guide/acl
"""

from __future__ import annotations

from localcloud.objects import Objects
from localcloud.oss_errors import denied
from localcloud.world import Bucket, World

WRITABLE = "public-read-write"
_READABLE = ("public-read", WRITABLE)


def check_public_read(world: World, objects: Objects, bucket: Bucket, key: str) -> None:
    """Raise AccessDenied unless the ACL of the object or, if that is `default`, of the bucket lets everybody read."""
    stored = objects.find(bucket.name, key)
    own_acl = stored.acl if stored is not None else "default"
    acl, owner = (bucket.acl, "bucket") if own_acl == "default" else (own_acl, "object")
    if not world.public_read and acl not in _READABLE:
        raise denied(f"You have no right to access this object because of {owner} acl.", "0003-00000001")


def check_public_write(objects: Objects, bucket: Bucket, key: str) -> None:
    """Raise AccessDenied unless the object exists and its ACL lets everybody write. No bucket's ACL does here."""
    stored = objects.find(bucket.name, key)
    if stored is None or stored.acl != WRITABLE:
        owner = "object" if stored is not None and stored.acl != "default" else "bucket"
        raise denied(f"You have no right to access this object because of {owner} acl.", "0003-00000001")
