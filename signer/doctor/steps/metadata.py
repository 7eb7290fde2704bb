"""Step `metadata`: does the ECS metadata service respond, and is the defined role attached to this instance.

It uses the hardened mode: a metadata token first, then everything else with it.
See: https://help.aliyun.com/zh/ecs/user-guide/view-instance-metadata
"""

import os
from collections.abc import Mapping

from signer.credentials.sources.metadata_refusal import token_refusal
from signer.definitions import credential_model
from signer.doctor.findings import Finding, Subject
from signer.doctor.http_probe import HttpProbe, NoResponse
from signer.doctor.remedies import attach_role

_METADATA_HOST = "100.100.100.200"
_TTL = {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"}
_ROLES = "/latest/meta-data/ram/security-credentials/"
_NOT_ECS = (
    "is this an ECS instance? See: curl -X PUT -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 60' "
    f"http://{_METADATA_HOST}/latest/api/token; no firewall may block {_METADATA_HOST}. Elsewhere use another type: "
    "assume_role, or oidc in Kubernetes"
)


async def check_metadata(
    http: HttpProbe, endpoint: str, entries: Mapping[str, credential_model.EcsRamRole]
) -> list[Finding]:
    """Check the endpoint for each of its entries, by name in the definitions."""
    found = _proxy_warnings(endpoint)
    try:
        response = await http.request(f"{endpoint}/latest/api/token", method="PUT", headers=_TTL, dated=True)
        if response.status != 200:
            what, fix = token_refusal(response.status)
            return [*found, *_fail_all(entries, f"{endpoint} {what}", fix)]
        token = {"X-aliyun-ecs-metadata-token": response.text.strip()}
        role = await http.request(endpoint + _ROLES, headers=token)
        instance_id = await _text(http, f"{endpoint}/latest/meta-data/instance-id", token, "i-...")
        region = await _text(http, f"{endpoint}/latest/meta-data/region-id", token, "cn-...")
    except NoResponse as error:
        return [*found, *_fail_all(entries, f"{endpoint} {error}", _NOT_ECS)]
    attached = role.text.strip() if role.status == 200 else ""
    for name, entry in entries.items():
        subject, expected = Subject("metadata", name), entry.role_name or ""
        attach = attach_role(expected or "ROLE", instance_id, region)
        if not attached:
            found.append(subject.failed("no RAM role is attached to this instance", attach))
        elif expected and attached != expected:
            fix = f"write role_name: {attached} in credentials.{name}, or attach the other role: {attach}"
            found.append(subject.failed(f"the attached role is {attached}, but {expected} is defined", fix))
        else:
            found.append(subject.ok(f"the role {attached} is attached"))
    return found


def _proxy_warnings(endpoint: str) -> list[Finding]:
    proxy = next((name for name in ("HTTP_PROXY", "http_proxy") if os.environ.get(name)), None)
    if proxy is None or _METADATA_HOST in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")):
        return []
    what = f"{proxy} is set, and Alibaba's SDK sends requests to the metadata service through this proxy"
    return [Subject("metadata", endpoint).warning(what, f"unset {proxy} for the service")]


def _fail_all(entries: Mapping[str, credential_model.EcsRamRole], what: str, fix: str) -> list[Finding]:
    return [Subject("metadata", name).failed(what, fix) for name in entries]


async def _text(http: HttpProbe, url: str, headers: dict[str, str], default: str) -> str:
    response = await http.request(url, headers=headers)
    return response.text.strip() if response.status == 200 else default
