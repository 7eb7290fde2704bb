"""Move definitions onto the local cloud: the same apps, with its credentials and its OSS."""

import dataclasses
import json
import urllib.request
from types import MappingProxyType

from pydantic import SecretStr

from signer.definitions import credential_model, model
from signer.definitions.registry import AccessKeyTemplate, Registry, Role
from signer.demo.local_cloud import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ROLE_ARN, LocalCloud
from signer.signing.form import Forms

_TIMEOUT_SECONDS = 20.0
_KEY = AccessKeyTemplate(ACCESS_KEY_ID, ACCESS_KEY_SECRET)


def relocate(cloud: LocalCloud, registry: Registry, *, public: str, admin: str, oss: str) -> Registry:
    """Return the same apps on the local cloud, with these listen addresses; `oss` is the URL of its OSS for browsers.

    Blocks: it creates their buckets there.
    """
    for bucket, region in sorted({(app.rules.bucket, app.rules.region) for app in registry.apps.values()}):
        body = json.dumps({"name": bucket, "region": region}).encode()
        urllib.request.urlopen(f"{cloud.oss}/-/buckets", body, timeout=_TIMEOUT_SECONDS).close()  # noqa: S310
    apps = {}
    for app_id, app in registry.apps.items():
        rules = dataclasses.replace(app.rules, url=f"{oss}/{app.rules.bucket}")
        apps[app_id] = dataclasses.replace(app, forms=Forms(app_id, rules), oss_url=f"{cloud.oss}/{app.rules.bucket}")
    roles = {key: _relocate_role(role, cloud) for key, role in registry.roles.items()}
    server = model.Server(listen=public, admin=admin, secret=registry.server.secret)
    return dataclasses.replace(
        registry, server=server, apps=MappingProxyType(apps), roles=MappingProxyType(roles), limits=None
    )


def _relocate_role(role: Role, cloud: LocalCloud) -> Role:
    source = None if role.source is None else _relocate_role(role.source, cloud)
    access_key = _KEY if source is None else None
    return dataclasses.replace(role, entry=_relocate_entry(role.entry, cloud), access_key=access_key, source=source)


def _relocate_entry(entry: credential_model.CredentialEntry, cloud: LocalCloud) -> credential_model.CredentialEntry:
    """Return an entry that the local cloud supports; it has no OIDC provider, so its AccessKey assumes those roles."""
    if isinstance(entry, credential_model.EcsRamRole):
        return entry.model_copy(update={"endpoint": cloud.metadata, "role_name": None})
    if isinstance(entry, credential_model.AssumeRole):
        arn = _local_role_arn(entry.role_arn)
        return entry.model_copy(update={"endpoint": cloud.sts, "role_arn": arn, "external_id": None})
    if isinstance(entry, credential_model.OidcRole):
        shared = {name: getattr(entry, name) for name in credential_model.StsRole.model_fields}
        changed = {"type": "assume_role", "endpoint": cloud.sts, "role_arn": _local_role_arn(entry.role_arn)}
        return credential_model.AssumeRole.model_construct(**{**shared, **changed})
    return credential_model.StaticCredential.model_construct(
        type="static",
        min_remaining=entry.min_remaining,
        timeout=entry.timeout,
        access_key_id=ACCESS_KEY_ID,
        access_key_secret=SecretStr(ACCESS_KEY_SECRET),
        security_token=None,
    )


def _local_role_arn(role_arn: str) -> str:
    """Return the role of the same name in the local cloud's account."""
    return f"{ROLE_ARN.rpartition('/')[0]}/{role_arn.rpartition('/')[2]}"
