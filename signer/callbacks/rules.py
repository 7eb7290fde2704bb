"""What an app says of its callbacks, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from signer.callbacks.body import FORM, BodyShape
from signer.object_key import KeyNaming


@dataclass(frozen=True, slots=True)
class Target:
    """Where an app's events go."""

    url: str
    secret: bytes = field(repr=False)
    """Signs what is sent there."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    app_id: str
    bucket: str
    naming: KeyNaming
    body: BodyShape
    path: str
    """Of the URL that OSS calls; a proxy before us may hand on another."""
    notify: Target | None = None
    proof_secret: bytes | None = field(default=None, repr=False)
    """Where the app's forms carry proofs (proof.py), none but theirs are taken."""


def callback_rules(
    *,
    app_id: str,
    bucket: str,
    naming: KeyNaming,
    url: str,
    body: str,
    body_type: str = FORM,
    notify: Target | None = None,
    proof_secret: bytes | None = None,
) -> CallbackRules:
    """Raises `BadBody` for a `callback.body` that does not say what was uploaded."""
    shape = BodyShape.parse(body, body_type)
    return CallbackRules(app_id, bucket, naming, shape, urlsplit(url).path or "/", notify, proof_secret)
