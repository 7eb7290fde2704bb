"""The order of the files: the ones that take long start first, so that no core waits for the last of them alone."""

from __future__ import annotations

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((index for index, part in enumerate(LONG) if f"/tests/{part}" in path), len(LONG))

    items.sort(key=place)
