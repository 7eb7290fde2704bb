"""The order of the test files, and logging that each test finds as it is at the start."""

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
def _logging_is_restored() -> Iterator[None]:
    """Commands that run in this process set levels and the root handler, which later tests must not inherit."""
    loggers = [logging.getLogger(), logging.getLogger("oss_signer")]
    levels = [logger.level for logger in loggers]
    handlers = set(loggers[0].handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in loggers[0].handlers[:]:
        if handler not in handlers and type(handler) is logging.StreamHandler:
            loggers[0].removeHandler(handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take long, so that no core waits for the last of them alone."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((index for index, part in enumerate(LONG) if f"/tests/{part}" in path), len(LONG))

    items.sort(key=place)
