"""What the loaded model holds, as arrays: numbers, text in bytes, columns in matrices. The model is not imported."""

import re
from typing import Any

import numpy as np

from local_h5.errors import ModelError
from local_h5.prepared.snapshot import SourceColumn

_PERIOD = re.compile(r"\d{4}(-\d\d)?|ETERNITY")


class HeldColumns:
    """Collects columns into one matrix per entity and dtype; equal columns of a variable share a row."""

    def __init__(self) -> None:
        self.columns: list[SourceColumn] = []
        self.vocabularies: dict[str, np.ndarray] = {}
        self._rows: dict[str, list[np.ndarray]] = {}
        self._latest: dict[str, tuple[np.ndarray, str, int]] = {}

    def add(self, variable: Any, period: str, held: Any, names: str | None = None) -> None:
        """Add a column.

        Args:
            variable: of the model.
            period: year, month or ``ETERNITY``.
            held: the model's array for it, by row.
            names: entity whose ids the column holds.

        Raises:
            ModelError: the period is another one.
        """
        name, entity = variable.name, variable.entity.key
        if not _PERIOD.fullmatch(period):
            raise ModelError(
                f"{name}: period: expected a year, a month or ETERNITY, found {period}. Store the variable for "
                "its own period in the source."
            )
        members = member_names(variable)
        if members is not None:
            words = utf8(members)
            values = np.asarray(held).astype(np.int16)
        elif np.asarray(held).dtype.kind in "OUSM":
            text = utf8(held)
            words = np.unique(text)
            if name in self.vocabularies:  # another period of the same variable: one vocabulary for all
                words = np.union1d(self.vocabularies[name], words)
                self._recode(name, words)
            values = np.searchsorted(words, text).astype(np.int32)
        else:
            words, values = None, np.asarray(held)
        if words is not None:
            self.vocabularies[name] = words
        matrix = f"{entity}/{values.dtype.name}"
        previous = self._latest.get(name)
        if previous is not None and previous[1] == matrix and np.array_equal(previous[0], values):
            row = previous[2]
        else:
            row = len(self._rows.setdefault(matrix, []))
            self._rows[matrix].append(values)
        self._latest[name] = (values, matrix, row)
        self.columns.append(SourceColumn(name, entity, period, matrix, row, words is not None, names))

    def _recode(self, name: str, words: np.ndarray) -> None:
        old = self.vocabularies[name]
        renumber = np.searchsorted(words, old)
        for place in {(c.matrix, c.row) for c in self.columns if c.variable == name}:
            matrix, row = place
            self._rows[matrix][row] = renumber[self._rows[matrix][row]].astype(np.int32)
        _, matrix, row = self._latest[name]
        self._latest[name] = (self._rows[matrix][row], matrix, row)

    def matrices(self) -> dict[str, np.ndarray]:
        """``<entity>/<dtype>`` → columns x rows."""
        return {name: np.stack(rows) for name, rows in self._rows.items()}


def member_names(variable: Any) -> list[str] | None:
    """The names among which an enumerated variable chooses; None for another variable."""
    possible = getattr(variable, "possible_values", None)
    return None if possible is None else [member.name for member in possible]


def plain_array(values: Any) -> np.ndarray:
    """A model array as numbers or fixed-width text (enums by member name)."""
    decode = getattr(values, "decode_to_str", None)
    array = np.asarray(decode() if decode is not None else values)
    return utf8(array) if array.dtype.kind in "OU" else array


def utf8(text: Any) -> np.ndarray:
    """Text as fixed-width bytes; the model decodes them as UTF-8 (``DOÑA_ANA_COUNTY_NM``)."""
    array = np.asarray(text)
    if array.dtype.kind == "O":  # numpy would decode bytes in there as ASCII
        array = np.array([v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in array.tolist()], dtype=np.str_)
    return np.char.encode(array.astype("U"), "utf-8")
