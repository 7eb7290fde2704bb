"""What is loopback, and what a plain HTTP store is warned of; `warned/` has the other exposures."""

from __future__ import annotations

import pytest

from signer.definitions.exposure import is_loopback, store_exposures


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080/a", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:80/", True),
        ("http://localhost/a", True),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://127.0.0.1@example.com/", False),
        ("http://10.0.0.1", False),
        ("unix:/run/signer.sock", False),
    ],
)
def test_loopback_is_decided_by_the_host(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_a_store_over_plain_http_is_warned_of() -> None:
    (warning,) = store_exposures("http://config.example.com/signer.yaml")
    assert str(warning).startswith("http://config.example.com/signer.yaml:1:1: this store is read over plain HTTP")
    for quiet in (
        "http://127.0.0.1/a.yaml",
        "https://config.example.com/a.yaml",
        "config",
        "redis://config.example.com",
    ):
        assert store_exposures(quiet) == []
