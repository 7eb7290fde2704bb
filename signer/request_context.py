"""What is known of one request."""

from __future__ import annotations

from dataclasses import dataclass, field

from multidict import CIMultiDict, MultiMapping

from signer.errors import InvalidRequest


@dataclass(slots=True)
class RequestContext:
    """What is known of one request; header names match in any case."""

    headers: MultiMapping[str] = field(default_factory=CIMultiDict, repr=False)
    client_address: str = ""
    """The client's IP address, with trusted proxies resolved; empty if it has none (unix socket)."""
    login_code: str | None = field(default=None, repr=False)
    """A wx.login code from the request body."""
    request_id: str = ""

    def has_header(self, name: str) -> bool:
        """Return whether the header is present with a value."""
        return any(self.headers.getall(name, ()))

    def header(self, name: str) -> str | None:
        """Return the header's value, or None if it is absent or empty.

        Raises:
            InvalidRequest: The header occurs twice. A proxy in front may have checked the other one.
        """
        values = self.headers.getall(name, ())
        if len(values) > 1:
            raise InvalidRequest(f"the header {name} occurs twice; send it once")
        return values[0] or None if values else None
