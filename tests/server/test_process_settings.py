"""How many connections the public and the admin address may have, by the limit of open files."""

from __future__ import annotations

import resource

import pytest

from signer.server.process_settings import max_connections


@pytest.mark.parametrize(
    ("max_open_files", "public", "admin"),
    [(64, 48, 4), (256, 192, 16), (1024, 768, 64), (262_144, 258_048, 1024), (resource.RLIM_INFINITY, 1_044_480, 1024)],
)
def test_a_part_of_the_open_files_is_reserved(
    max_open_files: int, public: int, admin: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (max_open_files, max_open_files))
    assert max_connections() == (public, admin)
