"""How to fetch the token of one role."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from signer.credentials.refresh_windows import RefreshWindows
from signer.credentials.sources.credential_source import Source


@dataclass(frozen=True, slots=True)
class RolePlan:
    """How to fetch the token of one role, and how long it must live."""

    identity: Hashable
    """Roles with equal identities share one token."""
    source: Source
    windows: RefreshWindows
    permissions: Hashable = None
    """What a token of the role allows, whichever key fetched it.

    A role whose AccessKey changes continues with its token if the permissions are the same.
    """
