"""What a caller can be told: one class for each problem, with its code and HTTP status.

The texts go to clients as RFC 9457 `detail`; they must never hold a secret.
"""

from __future__ import annotations

from math import ceil
from typing import ClassVar


class Problem(Exception):
    """A refusal with a stable `code`; `detail` says what was wrong and how to mend it."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers: dict[str, str] = {}
        """What the answer carries besides, such as what is left of a limit."""
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


class NotFound(Problem):
    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(Problem):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class TooLarge(Problem):
    code, status, title = "too_large", 413, "Too large"


class UnsupportedType(Problem):
    code, status, title = "unsupported_type", 415, "Unsupported type"


class RateLimited(Problem):
    code, status, title = "rate_limited", 429, "Rate limited"


class CredentialsUnavailable(Problem):
    code, status, title = "credentials_unavailable", 503, "Credentials unavailable"


class IdentityUnavailable(Problem):
    code, status, title = "identity_unavailable", 503, "Identity unavailable"
