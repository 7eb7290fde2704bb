"""How to fix things outside this machine: pages of the consoles, commands, RAM policies."""

import json
from collections.abc import Sequence
from shlex import quote

from signer.doctor.bucket_rules import as_xml, cors_rules, lifecycle_rules

OSS_CONSOLE = "https://oss.console.aliyun.com"
RAM_CONSOLE = "https://ram.console.aliyun.com"

CHRONY = "synchronize this machine's clock: systemctl enable --now chronyd && chronyc makestep"


def policy(actions: str | Sequence[str], resource: str) -> str:
    """Return a RAM policy that allows the actions, as JSON.

    See: https://help.aliyun.com/zh/ram/user-guide/policy-elements
    """
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return json.dumps({"Version": "1", "Statement": [statement]}, ensure_ascii=False)


def grant(role: str, actions: str | Sequence[str], resource: str) -> str:
    """Return how to grant a role the actions; `role` is an entry like `credentials.uploader`."""
    name = role.removeprefix("credentials.")
    return (
        f"RAM console ({RAM_CONSOLE}/roles) > the role of {role} > Grant Permission, with a custom policy "
        f"(oss-signer policies --role {name} prints all that it needs):\n{policy(actions, resource)}"
    )


def bucket_page(bucket: str, region: str, page: str) -> str:
    """Return where a page of a bucket is in the OSS console."""
    return f"OSS console ({OSS_CONSOLE}/bucket/oss-{region}/{bucket}) > {page}"


def attach_role(role_name: str, instance_id: str, region: str) -> str:
    """Return how to attach a RAM role to an ECS instance.

    See: https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance
    """
    return (
        "ECS console (https://ecs.console.aliyun.com) > the instance > All operations > Attach/Detach RAM Role, or:\n"
        f"aliyun ecs AttachInstanceRamRole --RegionId {region} --InstanceIds '[\"{instance_id}\"]' "
        f"--RamRoleName {role_name}"
    )


def lifecycle_rule(bucket: str, region: str, prefixes: Sequence[str], days: int) -> str:
    """Return how to create the rules that delete the parts of abandoned uploads after some days."""
    page = bucket_page(bucket, region, "Data Management > Lifecycle > Create Rule (Delete Parts)")
    xml = quote(as_xml(lifecycle_rules(prefixes, days)))
    return (
        f"{page}, or, to replace all current rules:\n"
        f"ossutil api put-bucket-lifecycle --bucket {bucket} --lifecycle-configuration {xml}"
    )


def cors_rule(bucket: str, region: str, origins: Sequence[str], methods: Sequence[str] = ("POST",)) -> str:
    """Return how to create the CORS rule that uploads from these origins need."""
    page = bucket_page(bucket, region, "Content Security > CORS > Create Rule")
    xml = quote(as_xml(cors_rules(origins, methods)))
    return (
        f"{page}, or, to replace all current rules:\n"
        f"ossutil api put-bucket-cors --bucket {bucket} --cors-configuration {xml}"
    )
