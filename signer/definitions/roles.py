"""The roles that apps sign with: their AccessKeys as written, and the session policy of `scope: app`."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import SecretStr

from signer.definitions.checks.object_keys import has_caller_prefix
from signer.definitions.credential_model import AssumeRole, CredentialEntry, StaticCredential, StsRole
from signer.definitions.download_model import also_prefixes
from signer.definitions.merge import Document
from signer.definitions.model import AppEntry
from signer.definitions.permissions import object_permissions, ram_actions
from signer.definitions.registry import AccessKeyTemplate, Role
from signer.definitions.temporary_credentials_model import TemporaryCredentials
from signer.signing.session_policy import CallerAccess, session_policy


def access_key_templates(entries: Mapping[str, CredentialEntry], document: Document) -> dict[str, AccessKeyTemplate]:
    """Return the AccessKey of each credentials entry that has one; each fetch resolves their `${...}` again."""
    return {name: key for name, entry in entries.items() if (key := _access_key(name, entry, document)) is not None}


def _access_key(name: str, entry: CredentialEntry, document: Document) -> AccessKeyTemplate | None:
    if not isinstance(entry, AssumeRole | StaticCredential) or entry.access_key_id is None:
        return None
    token = entry.security_token if isinstance(entry, StaticCredential) else None

    def written(key: str) -> str | None:
        """Return the text with `${...}`; for a value that only the environment gives, a reference to its variable."""
        path = ("credentials", name, key)
        variable = entry.environment_variables.get(key) if isinstance(entry, StsRole) else None
        if variable is not None and not document.has(path):
            return f"${{{variable}}}"
        return document.template(path)

    return AccessKeyTemplate(
        written("access_key_id") or entry.access_key_id,
        written("access_key_secret") or _clear(entry.access_key_secret) or "",
        written("security_token") or _clear(token),
    )


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def role_of_app(
    app_id: str, app: AppEntry, entries: Mapping[str, CredentialEntry], access_keys: Mapping[str, AccessKeyTemplate]
) -> tuple[str, Role]:
    """Return the role that an app signs with, and its key in `Registry.roles`.

    With `scope: app`, each app has a token of its own, narrowed by a session policy.
    """
    role = _role(app.credentials, entries, access_keys)
    if isinstance(role.entry, StsRole) and role.entry.scope == "app":
        return f"{app.credentials}/{app_id}", replace(role, session_policy=app_session_policy(app_id, app))
    return app.credentials, role


def _role(name: str, entries: Mapping[str, CredentialEntry], access_keys: Mapping[str, AccessKeyTemplate]) -> Role:
    entry = entries[name]
    source = entry.source if isinstance(entry, AssumeRole) else None
    return Role(
        name,
        entry,
        access_key=access_keys.get(name),
        source=None if source is None else _role(source, entries, access_keys),
    )


def fixed_prefix(app_id: str, key_prefix: str) -> str:
    """Return the part of `key_prefix` that is the same for every caller and day."""
    return key_prefix.replace("{app}", app_id).partition("{")[0]


def app_session_policy(app_id: str, app: AppEntry) -> str:
    """Return the policy: what the app needs below the fixed part of its prefix, and reading below `downloads.also`."""
    permissions = object_permissions(
        fixed_prefix(app_id, app.key_prefix),
        reads_own=app.downloads is not None and has_caller_prefix(app),
        also_readable=() if app.downloads is None else also_prefixes(app_id, app.downloads),
        deletes=app.deletes,
        multipart=app.multipart is not None,
    )
    return session_policy(app.bucket, permissions)


def caller_access(app_id: str, app: AppEntry, temporary: TemporaryCredentials) -> CallerAccess:
    """Return what the temporary credentials of an app allow."""
    prefix = fixed_prefix(app_id, app.key_prefix)
    also = () if app.downloads is None else also_prefixes(app_id, app.downloads)
    return CallerAccess(app.bucket, prefix, ram_actions(temporary.actions), temporary.duration, also)
