"""How often Python looks for garbage while the country model is imported."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLD = (200_000, 50, 1_000)
"""Of :func:`gc.set_threshold`; Python's own is (700, 10, 10)."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect seldom, then as often as before.

    Importing the model makes millions of objects that stay, and each collection looks at them again. That is a quarter
    to a third of the import. Peak memory is the same.
    """
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
