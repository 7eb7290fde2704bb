"""What the callbacks of an app must look like, and where its events go."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from signer.delivery.callback_body import CallbackBodyFormat
from signer.signing.callback_field import FORM_BODY
from signer.signing.object_key import KeyNaming


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """The server of an app, which receives its events."""

    url: str
    key: bytes = field(repr=False)
    """The key of the signature that each delivery carries."""


@dataclass(frozen=True, slots=True)
class CallbackRules:
    """The callback settings of one app."""

    app_id: str
    bucket: str
    naming: KeyNaming
    body_format: CallbackBodyFormat
    paths: tuple[str, ...]
    """The paths of the URLs that OSS calls; a proxy can change the path before it arrives here."""
    notify: NotifyTarget | None = None
    proof_secret: bytes | None = field(default=None, repr=False)
    """With a secret, a callback needs the proof of a form that this service signed."""


def build_callback_rules(
    *,
    app_id: str,
    bucket: str,
    naming: KeyNaming,
    urls: Sequence[str],
    body: str,
    body_type: str = FORM_BODY,
    notify: NotifyTarget | None = None,
) -> CallbackRules:
    """Return the rules of an app. Raises `InvalidBodyTemplate` if the body does not report what was uploaded."""
    body_format = CallbackBodyFormat.from_template(body, body_type)
    paths = tuple(urlsplit(url).path or "/" for url in urls)
    return CallbackRules(app_id, bucket, naming, body_format, paths, notify, derive_proof_secret(notify))


def derive_proof_secret(notify: NotifyTarget | None) -> bytes | None:
    """Return the key of the proofs in callback URLs, or None for an app whose events go nowhere.

    It is derived from the app's own secret, so that all signers have it without sharing anything else.
    """
    return None if notify is None else hmac.digest(notify.key, b"oss-signer callback proof", "sha256")
