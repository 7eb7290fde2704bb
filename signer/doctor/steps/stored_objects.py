"""Step `objects`: may the role read, and with --write delete, what the app's callers may.

Each action is tried on an object that does not exist. In a bucket with versioning, deleting it leaves a delete marker.
See: https://help.aliyun.com/zh/oss/developer-reference/deleteobject
"""

import alibabacloud_oss_v2 as oss

from signer.doctor.action_trial import Calls, try_actions
from signer.doctor.findings import Finding, Subject
from signer.doctor.oss_probe import OssProbe, unique_name
from signer.doctor.plan import ObjectsUse
from signer.signing.v4 import Credential

_VERBS = {"oss:GetObject": "read", "oss:DeleteObject": "delete"}


async def check_stored_objects(
    client: OssProbe, subject: Subject, objects: ObjectsUse, actions: tuple[str, ...], credential: Credential
) -> Finding:
    """Try each action below the prefix, and name those that the role lacks."""
    use, key = objects.use, objects.prefix + unique_name()
    get, delete = oss.GetObjectRequest(bucket=use.bucket, key=key), oss.DeleteObjectRequest(bucket=use.bucket, key=key)
    calls: Calls = {
        "oss:GetObject": lambda client: client.get_object(get),
        "oss:DeleteObject": lambda client: client.delete_object(delete),
    }
    chosen = {action: calls[action] for action in actions}
    failure = await try_actions(
        client, subject, use, objects.url, chosen, credential, prefix=objects.prefix, purpose="downloads and deletes"
    )
    return failure or subject.ok(f"the role may {' and '.join(_VERBS[action] for action in actions)} objects there")
