"""What foreign pickles hold, with errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from foreign_pickle import ForeignPickleError
from local_h5.errors import InputError


@contextmanager
def pickle_errors() -> Iterator[None]:
    """Turn what :mod:`foreign_pickle` says about a file into an :class:`InputError`."""
    try:
        yield
    except ForeignPickleError as error:
        raise InputError(str(error)) from error
