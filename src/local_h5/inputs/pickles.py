"""Errors of :mod:`foreign_pickle` as errors of this library."""

from collections.abc import Iterator
from contextlib import contextmanager

from foreign_pickle import ForeignPickleError
from local_h5.errors import InputError


@contextmanager
def pickle_errors() -> Iterator[None]:
    """Turn an error of :mod:`foreign_pickle` into an :class:`InputError`."""
    try:
        yield
    except ForeignPickleError as error:
        raise InputError(str(error)) from error
