"""The AccessKeys of credentials entries as written, so that each fetch resolves their `${...}` again."""

from __future__ import annotations

from pydantic import SecretStr

from signer.definitions import model
from signer.definitions.merge import Document
from signer.definitions.registry import AccessKeyTemplate


def access_key_templates(definitions: model.Definitions, document: Document) -> dict[str, AccessKeyTemplate]:
    """Return the AccessKey of each credentials entry that has one, by the entry's name."""
    return {
        name: template
        for name, entry in definitions.credentials.items()
        if (template := _template(name, entry, document)) is not None
    }


def _template(name: str, entry: model.CredentialEntry, document: Document) -> AccessKeyTemplate | None:
    if not isinstance(entry, model.AssumeRole | model.StaticCredential) or entry.access_key_id is None:
        return None
    token = entry.security_token if isinstance(entry, model.StaticCredential) else None

    def written(key: str) -> str | None:
        """Return the text with `${...}`; for a value that only the environment gives, a reference to its variable."""
        path = ("credentials", name, key)
        variable = entry.environment_variables.get(key) if isinstance(entry, model.StsRole) else None
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
