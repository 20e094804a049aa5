"""Pickles of numpy, scipy, pandas and Arrow objects, read without running their code and without scipy or pandas.

:func:`load` unpickles, with a :class:`Placeholder` for each scipy, pandas or Arrow object. :func:`read_sparse` and
:func:`read_frame` make plain arrays from these.

>>> with open("package.pkl", "rb") as stream:
...     package = load(stream, "package.pkl")
>>> matrix = read_sparse(package["X_sparse"], "package.pkl: X_sparse")
"""

from foreign_pickle.frames import SparseMatrix, read_frame, read_sparse
from foreign_pickle.reader import ForeignPickleError, Placeholder, load

__all__ = ["ForeignPickleError", "Placeholder", "SparseMatrix", "load", "read_frame", "read_sparse"]
