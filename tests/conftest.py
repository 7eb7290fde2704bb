"""The order of the test files, and a log level that each test finds as it is at the start."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

LONG = (
    "e2e/soak/",
    "e2e/test_sdk_isolation.py",
    "e2e/callbacks/",
    "e2e/test_credential_outages.py",
    "guard/",
    "doctor/",
    "callers/test_hostile.py",
    "systemd/",
    "stores/",
    "definitions/test_fuzz.py",
    "miniprogram",
    "e2e/pages/",
    "test_docs.py",
    "e2e/test_prefixes.py",
    "e2e/test_reload_watching.py",
    "e2e/test_wire.py",
    "e2e/test_check_diff.py",
)


@pytest.fixture(autouse=True)
def _log_level_is_restored() -> Iterator[None]:
    """The command `doctor`, which runs in this process, sets a level that later tests must not inherit."""
    logger = logging.getLogger("oss_signer")
    level = logger.level
    yield
    logger.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take long, so that no core waits for the last of them alone."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((index for index, part in enumerate(LONG) if f"/tests/{part}" in path), len(LONG))

    items.sort(key=place)
