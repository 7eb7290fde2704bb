"""Presign a URL: put a V4 signature into the query string of one request to OSS.

See: https://help.aliyun.com/zh/oss/developer-reference/add-signatures-to-urls
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import quote

from signer.signing import v4

MAX_EXPIRES_SECONDS = 7 * 86400

_NO_VALUES: Mapping[str, str] = MappingProxyType({})
_ALWAYS_SIGNED = ("content-type", "content-md5")
"""OSS includes these headers, and each `x-oss-*` header, in the signature whenever a request has them."""


class Presigner:
    """Signs the URLs of requests for one object that are signed in the same second, such as the parts of an upload.

    See: https://help.aliyun.com/zh/oss/developer-reference/signature-version-4-recommend
    """

    __slots__ = ("_date", "_encoded", "_object_url", "_parameters", "_path", "_scope", "_signing_key")

    def __init__(
        self,
        bucket_url: str,
        *,
        bucket: str,
        key: str,
        region: str,
        credential: v4.Credential,
        signed_at: datetime,
        expires_seconds: int,
    ) -> None:
        """Create a presigner for one object.

        `bucket_url` has no slash at its end. `expires_seconds`, 1 to 604,800 (7 days), count from `signed_at` in UTC.
        """
        if not 1 <= expires_seconds <= MAX_EXPIRES_SECONDS:
            raise ValueError(f"a presigned URL is valid for 1 to {MAX_EXPIRES_SECONDS} seconds, not {expires_seconds}")
        self._date = v4.format_date(signed_at)
        self._scope = v4.date_scope(self._date, region)
        self._signing_key = v4.signing_key(credential.access_key_secret, self._date[:8], region)
        signature_parameters = v4.signature_parameters(credential, self._date, region)
        parameters = {**signature_parameters, "x-oss-expires": str(expires_seconds)}
        self._parameters = [encode_parameter(name, value) for name, value in parameters.items()]
        self._encoded: dict[tuple[str, str], tuple[str, str]] = {}
        self._path = quote(f"/{bucket}/{key}")
        self._object_url = f"{bucket_url}/{quote(key)}"

    def url(
        self, method: str, *, headers: Mapping[str, str] = _NO_VALUES, query: Mapping[str, str] = _NO_VALUES
    ) -> str:
        """Return the presigned URL of one request.

        The client must send `headers` exactly like this; `x-oss-additional-headers` lists those that OSS would not
        check otherwise. `query` are further parameters, such as `x-oss-process`, `partNumber` or `uploadId`.
        """
        sent = {name.lower(): value.strip() for name, value in headers.items()}
        additional = sorted(name for name in sent if name not in _ALWAYS_SIGNED and not name.startswith("x-oss-"))
        additional_headers = ";".join(additional)
        parameters = [*self._parameters, *(self._encode_once(name, value) for name, value in query.items())]
        if additional:
            parameters.append(self._encode_once("x-oss-additional-headers", additional_headers))
        query_text = "&".join([text for _, text in sorted(parameters)])
        header_text = "".join(f"{name}:{value}\n" for name, value in sorted(sent.items()))
        payload_hash = sent.get("x-oss-content-sha256", "UNSIGNED-PAYLOAD")
        canonical_request = "\n".join((method, self._path, query_text, header_text, additional_headers, payload_hash))
        hashed_request = sha256(canonical_request.encode()).hexdigest()
        string_to_sign = "\n".join((v4.SIGNATURE_VERSION, self._date, self._scope, hashed_request))
        signature = hmac.digest(self._signing_key, string_to_sign.encode(), "sha256").hex()
        return f"{self._object_url}?{query_text}&x-oss-signature={signature}"

    def _encode_once(self, name: str, value: str) -> tuple[str, str]:
        """Return the encoded parameter; many URLs of one object have the same ones."""
        encoded = self._encoded.get((name, value))
        if encoded is None:
            encoded = self._encoded[name, value] = encode_parameter(name, value)
        return encoded


def encode_parameter(name: str, value: str) -> tuple[str, str]:
    """Return the encoded name of a query parameter, by which OSS sorts them, and the whole parameter."""
    encoded = quote(name, safe="")
    return encoded, f"{encoded}={quote(value, safe='')}" if value else encoded
