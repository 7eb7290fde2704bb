"""Step `metadata`: does the ECS metadata service answer, and is the right role attached to this instance.

Help page `ECS instance metadata`, hardened mode: a metadata token first, then all else with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from signer.definitions import model
from signer.doctor.findings import About, Finding
from signer.doctor.http_probe import Asking, NoAnswer
from signer.doctor.remedies import attach_role

_TTL = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
_ROLES = "/latest/meta-data/ram/security-credentials/"


async def metadata(asking: Asking, endpoint: str, entries: Mapping[str, model.EcsRamRole]) -> list[Finding]:
    """A finding for each entry of that endpoint, by its name in the definitions."""
    proxy = next((name for name in ("HTTP_PROXY", "http_proxy") if os.environ.get(name)), None)
    found = []
    if proxy is not None and "100.100.100.200" not in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")):
        what = f"{proxy} is set, and Alibaba's SDK asks the metadata service through it"
        found.append(About("metadata", endpoint).warning(what, f"unset {proxy} for the service"))
    try:
        answer = await asking.get(f"{endpoint}/latest/api/token", method="PUT", headers=_TTL, dated=True)
        if answer.status != 200:
            return [*found, *_all(entries, f"{endpoint} gave no token ({answer.status})", _ON)]
        token = {"X-aliyun-ecs-metadata-token": answer.text.strip()}
        role = await asking.get(endpoint + _ROLES, headers=token)
        instance = await _text(asking, f"{endpoint}/latest/meta-data/instance-id", token, "i-...")
        region = await _text(asking, f"{endpoint}/latest/meta-data/region-id", token, "cn-...")
    except NoAnswer as error:
        return [*found, *_all(entries, f"{endpoint} {error}", _ECS)]
    attached = role.text.strip() if role.status == 200 else ""
    for name, entry in entries.items():
        about = About("metadata", name)
        wanted = entry.role_name or ""
        if not attached:
            mend = attach_role(wanted or "ROLE", instance, region)
            found.append(about.failed("no RAM role is attached to this instance", mend))
        elif wanted and attached != wanted:
            found.append(
                about.failed(
                    f"the attached role is {attached}, the definitions say {wanted}",
                    f"write role_name: {attached} in credentials.{name}, or attach the other one: "
                    f"{attach_role(wanted, instance, region)}",
                )
            )
        else:
            found.append(about.ok(f"the role {attached} is attached"))
    return found


_ECS = (
    "is this an ECS instance? See: curl -X PUT -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 60' "
    "http://100.100.100.200/latest/api/token; a firewall may not block 100.100.100.200. Elsewhere use another type: "
    "assume_role, or oidc in Kubernetes"
)
_ON = (
    "ECS console > the instance > All operations > Modify Instance Metadata Settings: switch it on, or:\n"
    "aliyun ecs ModifyInstanceMetadataOptions --HttpEndpoint enabled --HttpTokens required --InstanceId i-..."
)


def _all(entries: Mapping[str, model.EcsRamRole], what: str, mend: str) -> list[Finding]:
    return [About("metadata", name).failed(what, mend) for name in entries]


async def _text(asking: Asking, url: str, headers: dict[str, str], unknown: str) -> str:
    answer = await asking.get(url, headers=headers)
    return answer.text.strip() if answer.status == 200 else unknown
