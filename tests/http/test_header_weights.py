"""Weights of the values of request headers."""

from __future__ import annotations

import pytest

from signer.http.header_weights import header_weights


@pytest.mark.parametrize(
    ("header", "weights"),
    [
        ("text/html", {"text/html": 1.0}),
        ("zh-CN, en;q=0.5", {"zh-cn": 1.0, "en": 0.5}),
        ("Text/HTML; level=1; q=0.4 ,*/*;q=0.1", {"text/html": 0.4, "*/*": 0.1}),
        ("en;q=often", {"en": 0.0}),
        ("", {"": 1.0}),
    ],
)
def test_each_value_has_a_weight(header: str, weights: dict[str, float]) -> None:
    assert header_weights(header) == weights
