"""Files are read as they were at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from signer.stable_read import FilesKeepChanging, read_stable


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def each(values: Iterable[object]) -> Iterator[object]:
    return iter(values)


def test_a_read_without_changes_is_returned() -> None:
    fingerprints = each("aa")
    assert read_stable(lambda: "content", lambda: next(fingerprints)) == "content"


def test_a_read_during_a_change_is_repeated() -> None:
    fingerprints, contents = each("abbb"), each(["mixed", "whole"])
    assert read_stable(lambda: next(contents), lambda: next(fingerprints)) == "whole"


def test_an_error_counts_only_without_a_change() -> None:
    def read() -> str:
        if len(attempts) == 1:
            return "content"
        attempts.append(1)
        raise FileNotFoundError

    attempts: list[int] = []
    changing = each("abbb")
    assert read_stable(read, lambda: next(changing)) == "content"
    attempts.clear()
    with pytest.raises(FileNotFoundError):
        read_stable(read, lambda: "same")


def test_files_that_never_rest_are_an_error() -> None:
    fingerprints = iter(range(1000))
    with pytest.raises(FilesKeepChanging):
        read_stable(lambda: "mixed", lambda: next(fingerprints))
