"""The token of a multipart upload: its whole state, encrypted and authenticated.

So nothing is stored, and each signer with the same secret can continue the upload. Fernet (AES-128-CBC and HMAC-SHA256)
is from the package cryptography. Its key is derived from `server.secret`.

See: https://github.com/fernet/spec/blob/master/Spec.md
See: https://www.rfc-editor.org/rfc/rfc5869
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from signer.errors import InvalidRequest, UploadGone
from signer.signing.multipart import MAX_TOKEN_CHARACTERS, PendingUpload

_LABEL = b"oss-signer multipart upload"


class UploadTokens:
    """Makes and reads tokens with the secrets of `server.secret`: the first one encrypts, each decrypts."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Create the tokens of at least one secret."""
        self._fernet = MultiFernet([Fernet(_derive_key(secret)) for secret in secrets])

    def encode(self, upload: PendingUpload) -> str:
        """Return the token of an upload. Raises `InvalidRequest` if it would be too long."""
        members = (
            upload.app_id,
            _digest(upload.caller),
            upload.bucket,
            upload.region,
            upload.key,
            upload.content_type,
            upload.upload_id,
            upload.mark,
            upload.size_bytes,
            upload.part_size_bytes,
            int(upload.expires_at.timestamp()),
            dict(upload.vars),
        )
        token = self._fernet.encrypt(orjson.dumps(members)).decode().rstrip("=")
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidRequest("the upload has too much to remember; send a shorter filename and less in vars")
        return token

    def decode(self, token: str, *, app_id: str, caller: str | None) -> PendingUpload:
        """Return the upload of a token that this app and caller got.

        Raises `UploadGone` with one text for every other token, so that it shows nothing of what is wrong.
        """
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            members = orjson.loads(self._fernet.decrypt(padded))
        except (InvalidToken, ValueError):
            raise unknown_upload() from None
        [of_app, of_caller, bucket, region, key, content_type, upload_id, mark, size, part_size, end, variables] = (
            members
        )
        if (of_app, of_caller) != (app_id, _digest(caller)):
            raise unknown_upload()
        return PendingUpload(
            app_id=app_id,
            caller=caller,
            bucket=bucket,
            region=region,
            key=key,
            content_type=content_type,
            upload_id=upload_id,
            mark=mark,
            size_bytes=size,
            part_size_bytes=part_size,
            expires_at=datetime.fromtimestamp(end, UTC),
            vars=variables,
        )


def unknown_upload() -> UploadGone:
    """Return the refusal of a token that is not one of this app and caller."""
    return UploadGone("this app has no such upload of this caller; start a new one")


def _derive_key(secret: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(secret.encode())
    return base64.urlsafe_b64encode(derived)


def _digest(caller: str | None) -> str | None:
    """Return a text of fixed size for a caller: an id may have any length and any characters."""
    return None if caller is None else sha256(caller.encode(errors="surrogatepass")).hexdigest()
