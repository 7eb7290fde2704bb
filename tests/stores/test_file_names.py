"""Files whose names cannot be printed, because they are not UTF-8."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signer.stores.file import FileStore
from signer.stores.protocol import CannotRead


async def test_such_a_file_is_loaded_under_a_name_that_can_be_printed(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.yaml")
    path.write_text("version: 1\n", encoding="utf-8")
    for store in (FileStore(path), FileStore(tmp_path)):
        assert (await store.load()).files == {f"{tmp_path}/\\xff.yaml": "version: 1\n"}


async def test_the_name_of_one_that_is_missing_can_be_printed(tmp_path: Path) -> None:
    store = FileStore(tmp_path / os.fsdecode(b"\xff.yaml"))
    with pytest.raises(CannotRead) as raised:
        await store.load()
    assert str(raised.value).startswith(f"{tmp_path}/\\xff.yaml: No such file")
