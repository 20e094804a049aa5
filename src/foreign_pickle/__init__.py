"""Reading pickles of numpy, scipy, pandas and Arrow objects without running their code.

:func:`foreign_pickle.reader.load` unpickles; :mod:`foreign_pickle.frames` takes sparse matrices and data frames apart.
"""


class ForeignPickleError(ValueError):
    """A pickle is damaged, asks for something that it may not have, or holds something else than was asked for."""
