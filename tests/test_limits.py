from __future__ import annotations

import pytest

from signer.errors import RateLimited
from signer.limits import Limiter


def test_a_bucket_holds_one_period_and_refills_steadily() -> None:
    now = 100.0
    limiter = Limiter(now=lambda: now)
    for _ in range(30):
        limiter.take("a", (30, 60))
    with pytest.raises(RateLimited) as refused:
        limiter.take("a", (30, 60))
    assert refused.value.retry_after_seconds == 2
    limiter.take("b", (30, 60))
    now += 2
    limiter.take("a", (30, 60))
    with pytest.raises(RateLimited):
        limiter.take("a", (30, 60))
    now += 3600
    for _ in range(30):
        limiter.take("a", (30, 60))
    with pytest.raises(RateLimited):
        limiter.take("a", (30, 60))
