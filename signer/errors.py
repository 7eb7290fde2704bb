"""The problems that a client can be answered with: one class for each, with its code, HTTP status and title.

Their texts reach clients as RFC 9457 `detail`; they never contain a secret.
"""

from collections.abc import Mapping
from math import ceil
from typing import ClassVar


class Problem(Exception):
    """A failed request with a stable `code`. The base class itself is an unexpected failure."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str = "", *, retry_after_seconds: float | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Create a problem: `detail` is what is wrong, then how to fix it; `headers` go into the response."""
        super().__init__(detail)
        self.detail = detail
        self.headers: dict[str, str] = {} if headers is None else dict(headers)
        self.retry_after_seconds = None if retry_after_seconds is None else max(1, ceil(retry_after_seconds))


class InvalidRequest(Problem):
    code, status, title = "invalid_request", 400, "Invalid request"


class Unauthenticated(Problem):
    code, status, title = "unauthenticated", 401, "Unauthenticated"


class Forbidden(Problem):
    code, status, title = "forbidden", 403, "Forbidden"


class AppDisabled(Problem):
    code, status, title = "app_disabled", 403, "App disabled"


class UnknownApp(Problem):
    code, status, title = "unknown_app", 404, "Unknown app"


NO_SUCH_PATH = "this server has no such path; see the HTTP reference"


class NotFound(Problem):
    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(Problem):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class TooLarge(Problem):
    code, status, title = "too_large", 413, "Too large"


class UriTooLong(Problem):
    code, status, title = "uri_too_long", 414, "URI too long"


class UnsupportedType(Problem):
    code, status, title = "unsupported_type", 415, "Unsupported type"


class UploadGone(Problem):
    """The multipart upload cannot be continued."""

    code, status, title = "upload_gone", 409, "Upload gone"


class PartsMismatch(Problem):
    code, status, title = "parts_mismatch", 409, "Parts mismatch"


class AlreadyExists(Problem):
    code, status, title = "already_exists", 409, "Already exists"


class RateLimited(Problem):
    code, status, title = "rate_limited", 429, "Rate limited"


class QuotaExceeded(Problem):
    """The bytes of a file are more than what is left of a limit of bytes."""

    code, status, title = "quota_exceeded", 429, "Quota exceeded"


class HeaderTooLarge(Problem):
    code, status, title = "header_too_large", 431, "Request header fields too large"


class CredentialsUnavailable(Problem):
    code, status, title = "credentials_unavailable", 503, "Credentials unavailable"


class IdentityUnavailable(Problem):
    code, status, title = "identity_unavailable", 503, "Identity unavailable"


class OssRefused(Problem):
    """OSS refuses a request of the signer itself."""

    code, status, title = "oss_refused", 502, "OSS refused"


class OssUnavailable(Problem):
    code, status, title = "oss_unavailable", 503, "OSS unavailable"


class KeyUnavailable(Problem):
    """The public key of OSS cannot be fetched now."""

    code, status, title = "callback_key_unavailable", 503, "Callback key unavailable"


class CallbackNotAccepted(Problem):
    """The event cannot be stored now. OSS responds 203 to the client: the object is stored, its app is not notified."""

    code, status, title = "callback_not_accepted", 503, "Callback not accepted"

    def __init__(self, detail: str, outcome: str) -> None:
        super().__init__(detail, retry_after_seconds=5)
        self.outcome = outcome
