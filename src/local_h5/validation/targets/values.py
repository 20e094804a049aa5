"""Calculated values of a file, kept beside it: ``validation/values/<folder>/<area>.h5``.

A state's file has the values of all of its households. Any other area's has those of the households that are not
equal to one of a state, usually none.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from msgspec import Struct

from local_h5.errors import PreparedError
from local_h5.files.arrays import open_arrays


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be calculated.

    Attributes:
        variables: of the model, in the order of calculation.
        reforms: variables to neutralise; their value is the gain of income tax.
        year: calculated for.
        versions: of the model.
    """

    variables: tuple[str, ...]
    reforms: tuple[str, ...]
    year: int
    versions: Mapping[str, str]

    def key(self, content: str) -> str:
        """Identity of the values of a file with that content digest."""
        data = [content, list(self.variables), list(self.reforms), self.year, dict(sorted(self.versions.items()))]
        return hashlib.sha256(json.dumps(data).encode()).hexdigest()


def reform_name(variable: str) -> str:
    """Name under which the gain of income tax without a variable is kept."""
    return f"income_tax without {variable}"


class Values(Struct, frozen=True):
    """Calculated values.

    Attributes:
        key: see :meth:`Wanted.key`.
        households: rows of the file that were calculated, ascending; int64.
        of: variable → (entity, values by row of the entity, of those households only).
        unknown: variables that the model does not have.
        problem: why nothing could be calculated; empty when all is well.
    """

    stored_as: ClassVar = ("validation_values", 2)

    key: str
    households: np.ndarray
    of: Mapping[str, tuple[str, np.ndarray]]
    unknown: tuple[str, ...] = ()
    problem: str = ""

    @classmethod
    def read_if_current(cls, path: Path, key: str) -> Self | None:
        """The values of that key; None when they are missing, unreadable, of another key, or a problem."""
        try:
            values = open_arrays(path, cls)
        except PreparedError:
            return None
        return values if values.key == key and not values.problem else None


def join(pieces: Sequence[Mapping[str, tuple[str, np.ndarray]]]) -> dict[str, tuple[str, np.ndarray]]:
    """Values of consecutive households, put together."""
    return {
        name: (entity, np.concatenate([piece[name][1] for piece in pieces])) for name, (entity, _) in pieces[0].items()
    }
