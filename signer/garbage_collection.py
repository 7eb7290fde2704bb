"""Create many long-lived objects without the cost of garbage collection."""

import contextlib
import gc
from collections.abc import Iterator

_MAX_SEARCHED_OBJECTS = 100_000
"""A collection of at most this many new objects takes milliseconds; it blocks all requests meanwhile."""


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the collection during the block, and exclude the objects that exist at its end from later collections.

    Ten thousand apps are a million objects that stay; searching them for cycles would stop all requests.
    """
    # Garbage that is excluded would stay forever, such as the mistakes of a rejected edit, and the connections that
    # clients close during the block.
    gc.collect()
    gc.disable()
    try:
        yield
        if gc.get_count()[0] <= _MAX_SEARCHED_OBJECTS:
            gc.collect(0)
        gc.freeze()
    finally:
        gc.enable()
