"""How things outside this machine are mended: pages of the consoles, commands, RAM policies."""

from __future__ import annotations

import json
from collections.abc import Sequence

OSS_CONSOLE = "https://oss.console.aliyun.com"
RAM_CONSOLE = "https://ram.console.aliyun.com"

CHRONY = "synchronise this machine's clock: systemctl enable --now chronyd && chronyc makestep"


def policy(actions: str | Sequence[str], resource: str) -> str:
    """A RAM policy (help page `Policy elements`)."""
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return json.dumps({"Version": "1", "Statement": [statement]}, ensure_ascii=False)


def grant(role: str, actions: str | Sequence[str], resource: str) -> str:
    return (
        f"RAM console ({RAM_CONSOLE}/roles) > the role behind {role} > Grant Permission, with a custom policy:\n"
        f"{policy(actions, resource)}"
    )


def bucket_page(bucket: str, region: str, page: str) -> str:
    return f"OSS console ({OSS_CONSOLE}/bucket/oss-{region}/{bucket}) > {page}"


def attach_role(role_name: str, instance_id: str, region: str) -> str:
    return (
        "ECS console (https://ecs.console.aliyun.com) > the instance > All operations > Attach/Detach RAM Role, or:\n"
        f"aliyun ecs AttachInstanceRamRole --RegionId {region} --InstanceIds '[\"{instance_id}\"]' "
        f"--RamRoleName {role_name}"
    )


def cors_rule(bucket: str, region: str, origins: Sequence[str]) -> str:
    rule = "".join(
        [
            *(f"<AllowedOrigin>{each}</AllowedOrigin>" for each in origins),
            "<AllowedMethod>POST</AllowedMethod><AllowedHeader>*</AllowedHeader>",
            "<ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-oss-request-id</ExposeHeader>",
            "<MaxAgeSeconds>600</MaxAgeSeconds>",
        ]
    )
    page = bucket_page(bucket, region, "Content Security > CORS > Create Rule")
    return (
        f"{page}, or, in place of all rules that it has now:\n"
        f"ossutil api put-bucket-cors --bucket {bucket} --cors-configuration "
        f"'<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>'"
    )
