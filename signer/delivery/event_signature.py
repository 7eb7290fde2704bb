"""The signature of an event, by which the app's own server recognizes the signer.

The headers are those of Standard Webhooks, for which libraries exist in many languages, and the signer's own.

See: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac

_PREFIX = "whsec_"
_MIN_KEY_BYTES, _MAX_KEY_BYTES = 24, 64


class InvalidWebhookSecret(ValueError):
    """A secret begins with `whsec_`, and the rest is not the Base64 of 24 to 64 bytes."""

    def __init__(self) -> None:
        super().__init__(
            f"{_PREFIX} must be followed by the Base64 of {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES} bytes; "
            f'make a secret with: echo "{_PREFIX}$(openssl rand -base64 32)"'
        )


def signing_key(secret: str) -> bytes:
    """Return the key of a secret: the bytes that `whsec_<Base64>` encodes, or any other text itself.

    Raises:
        InvalidWebhookSecret: The secret begins with `whsec_`, and is not of this form.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidWebhookSecret from None
    # Libraries differ in what else they decode, such as excess padding.
    if not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES or base64.b64encode(key).decode() != text:
        raise InvalidWebhookSecret
    return key


def signature_headers(key: bytes, *, event_id: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery; `timestamp` is that of the attempt, in seconds since 1970."""
    signed = timestamp.encode() + b"." + body
    webhook = hmac.digest(key, event_id.encode() + b"." + signed, "sha256")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(webhook).decode(),
        "X-Oss-Signer-Event-Id": event_id,
        "X-Oss-Signer-Timestamp": timestamp,
        "X-Oss-Signer-Signature": "sha256=" + hmac.digest(key, signed, "sha256").hex(),
    }
