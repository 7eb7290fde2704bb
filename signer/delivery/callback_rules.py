"""What an app says of its callbacks, as plain values."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from signer.delivery.callback_body import CallbackBodyFormat
from signer.signing.callback_field import FORM_BODY
from signer.signing.object_key import KeyNaming


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """Where an app's events go."""

    url: str
    secret: bytes = field(repr=False)
    """Signs what is sent there."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    app_id: str
    bucket: str
    naming: KeyNaming
    body: CallbackBodyFormat
    paths: tuple[str, ...]
    """Of the URLs that OSS calls; a proxy before us may hand on another."""
    notify: NotifyTarget | None = None
    proof_secret: bytes | None = field(default=None, repr=False)
    """Where events are handed on, the app's forms carry proofs (proof.py), and no other callbacks are taken."""


def callback_rules(
    *,
    app_id: str,
    bucket: str,
    naming: KeyNaming,
    urls: Sequence[str],
    body: str,
    body_type: str = FORM_BODY,
    notify: NotifyTarget | None = None,
) -> CallbackRules:
    """Raises `InvalidBodyTemplate` for a `callback.body` that does not say what was uploaded."""
    shape = CallbackBodyFormat.parse(body, body_type)
    paths = tuple(urlsplit(url).path or "/" for url in urls)
    return CallbackRules(app_id, bucket, naming, shape, paths, notify, proof_secret(notify))


def proof_secret(notify: NotifyTarget | None) -> bytes | None:
    """Each signer has it, and nobody else who has not the app's own secret; None where nothing is handed on."""
    return None if notify is None else hmac.digest(notify.secret, b"oss-signer callback proof", "sha256")
