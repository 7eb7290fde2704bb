"""Create many long-lived objects without the cost of garbage collection."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the collection during the block, and exclude the objects that exist at its end from later collections.

    Ten thousand apps are a million objects that stay; searching them for cycles would stop all requests.
    """
    # Garbage that is excluded would stay for ever, such as the mistakes of a rejected edit.
    gc.collect()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
