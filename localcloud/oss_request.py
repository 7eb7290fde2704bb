"""What the handlers of OSS operations receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from localcloud.post_signature import Signer
from localcloud.world import Bucket


@dataclass(frozen=True, slots=True)
class OssRequest:
    """A request whose signature and permission are valid."""

    http: web.Request
    query: Mapping[str, str]
    """Percent-decoded."""
    bucket: Bucket
    key: str
    signer: Signer | None
    """None for a request without a signature, and for a form, which has its own."""

    @property
    def headers(self) -> Mapping[str, str]:
        return self.http.headers
