"""What an operation of OSS accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from localcloud.oss_errors import not_implemented

SIGNATURE_PARAMETERS = frozenset(
    {
        "x-oss-signature-version",
        "x-oss-credential",
        "x-oss-date",
        "x-oss-expires",
        "x-oss-signature",
        "x-oss-additional-headers",
        "x-oss-security-token",
        # V1
        "OSSAccessKeyId",
        "Expires",
        "Signature",
        "security-token",
    }
)
_COMMON_HEADERS = frozenset({"x-oss-date", "x-oss-content-sha256", "x-oss-security-token", "x-oss-user-agent"})
_META = "x-oss-meta-"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    """As the documentation names it."""
    method: str
    on_object: bool
    """Whether the request names an object; otherwise a bucket or, for ListBuckets, nothing."""
    selectors: frozenset[str] = frozenset()
    """The query parameters that select this operation."""
    selecting_header: str = ""
    """The header that selects it."""
    parameters: frozenset[str] = frozenset()
    """The other query parameters that it accepts."""
    headers: frozenset[str] = frozenset()
    """The `x-oss-` headers that it accepts."""
    ignored: frozenset[str] = frozenset()
    """The `x-oss-` headers that have no effect, as on OSS: the SDKs send those of an object with each call."""
    accepts_metadata: bool = False
    """Whether it accepts or, as on OSS, ignores `x-oss-meta-` headers."""
    accepts_body: bool = False
    permission: str = ""
    """The RAM action, without `oss:`; "" if it is the operation's name."""
    is_public: bool = False
    """Whether a request without a signature may do it, if the ACL lets everybody read."""
    is_publicly_writable: bool = False
    """Whether it may do it if the ACL of the object lets everybody write."""

    @property
    def ram_action(self) -> str:
        return f"oss:{self.permission or self.name}"

    @property
    def transfers_data(self) -> bool:
        """Whether it works on objects, which OSS refuses to new accounts at public endpoints of the mainland."""
        return self.on_object or self.name in _ON_OBJECTS_OF_A_BUCKET

    def is_named_by(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """Return whether the request has everything that selects this operation."""
        return self.selectors <= query.keys() and (not self.selecting_header or self.selecting_header in headers)

    def check(self, query: Iterable[str], headers: Iterable[str]) -> None:
        """Raise NotImplemented for the first parameter or header that is not implemented."""
        for name in query:
            if name not in self.selectors | self.parameters | SIGNATURE_PARAMETERS:
                raise not_implemented(f"The query parameter {name} of {self.name}", name)
        for name in (each.lower() for each in headers):
            is_metadata = self.accepts_metadata and name.startswith(_META)
            if (
                name.startswith("x-oss-")
                and not is_metadata
                and name not in self.headers | self.ignored | _COMMON_HEADERS
            ):
                raise not_implemented(f"The header {name} of {self.name}", name)


_ON_OBJECTS_OF_A_BUCKET = (
    "PostObject",
    "ListObjects",
    "ListObjectsV2",
    "DeleteMultipleObjects",
    "ListMultipartUploads",
)
