"""Objects that are created without garbage collection, and garbage that existed before."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from signer.garbage_collection import without_garbage_collection


class Node:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _nothing_stays_excluded() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_the_objects_of_the_block_are_excluded_from_later_collections() -> None:
    with without_garbage_collection():
        assert not gc.isenabled()
        node = Node()
    assert gc.isenabled()
    assert not any(each is node for each in gc.get_objects())


def test_garbage_from_before_the_block_is_freed() -> None:
    """Each rejected edit leaves some, and the next valid edit would keep it forever."""
    garbage = weakref.ref(Node())
    with without_garbage_collection():
        pass
    gc.collect()
    assert garbage() is None


def test_garbage_of_the_block_is_freed() -> None:
    """Meanwhile, requests in other threads leave some."""
    with without_garbage_collection():
        garbage = weakref.ref(Node())
    assert garbage() is None


def test_the_collection_continues_after_an_error() -> None:
    with pytest.raises(ValueError, match="mistake"), without_garbage_collection():
        raise ValueError("mistake")
    assert gc.isenabled()
