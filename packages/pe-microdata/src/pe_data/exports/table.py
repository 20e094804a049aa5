"""A data frame made ready for other programs: codes as text, dtypes that are known, and what each column means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pe_data.documents.codes import CODES, label_of, variable_of
from pe_data.documents.dictionary import Variable
from pe_data.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["bool", "int", "float", "text", "other"]
EXACT = 2**53
"""Up to here a float64 holds every integer."""
_EXACT_SINGLE = 2**24


@dataclass(frozen=True, slots=True)
class Field:
    """One column."""

    name: str
    kind: Kind
    dtype: str
    """As numpy or pandas calls it; `str` for text."""
    said: Variable | None = None
    """What is known of its variable."""
    values: tuple[str, ...] = ()
    """All texts that it may have, in the order of the list; empty without a list, or if the column has others."""
    largest: int = 0
    """Of integers: the largest absolute value."""
    named: str | None = None
    """The label that somebody gave this column, which goes before the one of its variable."""

    @property
    def label(self) -> str | None:
        """For people; of a column for a month with the month."""
        if self.named:
            return self.named
        return label_of(self.name, {self.said.name: self.said.label} if self.said and self.said.label else {})

    @property
    def title(self) -> str | None:
        """The label, with the unit where it has one: `Household income (currency-USD)`."""
        unit = self.said.unit if self.said else None
        return f"{self.label} ({unit})" if self.label and unit else self.label


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one entity."""

    name: str
    frame: "pd.DataFrame"
    fields: tuple[Field, ...]
    """Of its columns, in their order."""


def table_of(
    name: str, frame: "pd.DataFrame", variables: Iterable[Variable], labels: Mapping[str, str], what: str
) -> Table:
    """A table from a frame, whose columns are not changed in place.

    Args:
        name: Of the table: an entity.
        frame: With unique names.
        variables: What is known of variables, of this entity or others.
        labels: Column → label.
        what: Where the frame is from, for messages.

    Raises:
        InputError: two columns of one name; a code that is no code.
    """
    import pandas as pd

    names = [str(column) for column in frame.columns]
    twice = next((one for one in names if names.count(one) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise InputError(f"{what}: {name}: expected each column once, found {twice!r} twice")
    meaning = {one.name: one for one in variables if one.entity == name}
    frame = frame.reset_index(drop=True)
    columns: dict[str, Any] = {}
    fields = []
    for number, column in enumerate(names):
        series = frame.iloc[:, number]
        variable = variable_of(column)
        if variable in CODES:
            series = _as_code(series, CODES[variable], f"{what}: {name}.{column}")
        kind = _kind(series)
        if kind == "text":
            series = _as_text(series)
        elif str(series.dtype) == "float16":
            series = series.astype("float32")
        columns[column] = series.array
        label = " ".join(labels.get(column, "").split())
        fields.append(replace(_field(column, kind, series, meaning.get(variable)), named=label or None))
    return Table(name, pd.DataFrame(columns), tuple(fields))


def _field(column: str, kind: Kind, series: "pd.Series", said: Variable | None) -> Field:
    dtype = "str" if kind == "text" else str(series.dtype)
    largest = max((abs(int(series.max())), abs(int(series.min())))) if kind == "int" and series.notna().any() else 0
    listed = said.values if said is not None and kind == "text" and variable_of(column) not in CODES else None
    known = listed is not None and set(series.dropna().unique()) - {""} <= set(listed)
    return Field(column, kind, dtype, said, listed if listed and known else (), largest)


def _kind(series: "pd.Series") -> Kind:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return "text" if _is_text(series.cat.categories) else "other"
    letter = getattr(series.dtype, "kind", "O")
    if letter in "biuf":
        return {"b": "bool", "i": "int", "u": "int", "f": "float"}[letter]  # type: ignore[return-value]
    return "text" if _is_text(series) else "other"


def _is_text(values: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_string_dtype(values.dtype)) or (
        getattr(values.dtype, "kind", "") == "O" and all(isinstance(one, str) for one in values if not pd.isna(one))
    )


def _as_text(series: "pd.Series") -> "pd.Series":
    missing = series.isna()
    text = series.astype("str")  # which pandas 2 makes "nan" of what is missing
    if missing.any():
        text[missing] = None
    return text


def _as_code(series: "pd.Series", width: int | None, what: str) -> "pd.Series":
    """Numbers as text of the full width; text as it is."""
    import numpy as np
    import pandas as pd

    if getattr(series.dtype, "kind", "O") not in "iuf":
        return series
    there = series.dropna()
    limit = _EXACT_SINGLE if str(series.dtype).lower() == "float32" else EXACT
    numbers = there.to_numpy()
    wrong = (numbers < 0) | (numbers != np.floor(numbers))
    if numbers.dtype.kind == "f":
        wrong |= numbers > limit
    if width is not None:
        wrong |= numbers >= 10**width
    if wrong.any():
        expected = f"codes of at most {width} digits" if width else "codes"
        raise InputError(
            f"{what}: expected {expected}, found {numbers[wrong][0]}. Leave the column out (name those that you want "
            "with --variables)"
        )
    known, which = np.unique(numbers, return_inverse=True)
    spelt = np.array([str(int(one)).zfill(width or 0) for one in known], dtype=object)
    text = pd.Series(None, index=series.index, dtype="str")
    text[there.index] = spelt[which]
    return text
