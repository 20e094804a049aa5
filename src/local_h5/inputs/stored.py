"""What one dataset of the source declares, before anything is known of the model's variable: types, codes, text."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

import h5py
import numpy as np

from local_h5.errors import SourceError
from local_h5.files.hdf5 import H5_ERRORS

EXAMPLES = 3
"""Most values that an error shows."""

_MISSING_ATTRIBUTES = frozenset(
    {"_fillvalue", "fillvalue", "fill_value", "missing_value", "missing_values", "na_value", "na_values", "nodata"}
)
"""Attributes that name codes for a missing value (netCDF and its conventions), in lower case."""

_CODING_ATTRIBUTES = frozenset({"categories", "levels", "flag_meanings", "value_labels", "mask", "na_mask"})
"""Attributes of other tools: the numbers of the dataset are codes, or some of them do not count."""

_FILL_FLOAT = 9.969209968386869e36
"""netCDF's own fill value for float32 and float64."""

_STATA = 2_147_483_621
"""The smallest of Stata's codes for a missing value in an int32. All larger numbers are codes too."""

_CLASSES = {
    h5py.h5t.TIME: "times",
    h5py.h5t.OPAQUE: "opaque bytes (numpy stores dates so)",
    h5py.h5t.COMPOUND: "compound records (complex numbers are stored so)",
    h5py.h5t.REFERENCE: "references",
    h5py.h5t.VLEN: "lists of varying length",
    h5py.h5t.ARRAY: "small arrays",
}


@contextmanager
def h5_errors(path: Path, where: str | None = None) -> Iterator[None]:
    """Turn errors of the HDF5 library into one line with the file."""
    try:
        yield
    except H5_ERRORS as error:
        raise SourceError(
            f"{path}:{f' {where}:' if where else ''} expected what HDF5 can read, found {_short(error)}. "
            "The file is damaged, or its type or filter is unknown here; write it again with h5py."
        ) from error


def _short(error: BaseException) -> str:
    text = " ".join(str(error.args[0] if error.args else error).split())
    return f"{type(error).__name__}: {text[:200]}"


@dataclass(frozen=True, slots=True)
class Stored:
    """One column as the file declares it.

    Attributes:
        form: what the values are: bool, any number, unsigned bits, text, or names of members.
        values: (n,).
        missing: by row, whether the file declares the value missing; None when it declares nothing. Text that is
            missing is ``NaN``, the code of a rule for it.
        entity: whose rows the column has, where the file says so.
    """

    form: Literal["truth", "number", "bits", "text", "names"]
    values: np.ndarray
    missing: np.ndarray | None = None
    entity: str | None = None


class Refuse(Protocol):
    """Refuse the dataset in one sentence."""

    def __call__(self, *, expected: str, found: str, remedy: str) -> NoReturn: ...


def read_stored(path: Path, file: h5py.File, variable: str, period: str, *, wanted: str, refuse: Refuse) -> Stored:
    """Read a dataset as the file declares it.

    Args:
        path: the source, for errors.
        file: the same, open.
        variable: its group.
        period: the dataset in it.
        wanted: what the variable takes, for errors.
        refuse: raises SourceError.

    Raises:
        SourceError: the numbers are not the values, the type has no plain values, or the file is damaged.
    """
    return _Dataset(path, variable, period, wanted, refuse).read(file)


def declared_column(path: Path, file: h5py.File, variable: str, periods: tuple[str, ...]) -> Stored:
    """A column with one period, as the file declares it; for codes, whose form the model does not decide.

    Raises:
        SourceError: several periods, no vector, or a type that is no number, truth value or text.
    """

    def refuse(*, expected: str, found: str, remedy: str) -> NoReturn:
        raise SourceError(f"{path}: {variable}: expected {expected}, found {found}. {remedy}")

    if len(periods) != 1:
        refuse(expected="one period", found=", ".join(periods[:EXAMPLES]), remedy="Store the whole of it, once.")
    return read_stored(path, file, variable, periods[0], wanted="codes", refuse=refuse)


@dataclass(frozen=True, slots=True)
class _Dataset:
    path: Path
    variable: str
    period: str
    wanted: str
    refuse: Refuse

    @property
    def where(self) -> str:
        return f"{self.variable}/{self.period}"

    def read(self, file: h5py.File) -> Stored:
        with h5_errors(self.path, self.where):
            group = file[self.variable]
            item = group[self.period]
            is_vector = isinstance(item, h5py.Dataset) and item.shape is not None and item.ndim == 1
        if not is_vector:
            shape = getattr(item, "shape", "a group")
            raise SourceError(
                f"{self.path}: {self.where}: expected a vector, found "
                f"{f'{shape}' if shape is not None else 'an empty dataset'}. Store one value per row of the "
                "variable's entity."
            )
        self._refuse_attributes(group, item)
        return self._values(item)

    def _values(self, item: h5py.Dataset) -> Stored:
        with h5_errors(self.path, self.where):
            declared = item.id.get_type()
            match declared.get_class():
                case h5py.h5t.ENUM:
                    return self._enumeration(item, declared)
                case h5py.h5t.INTEGER | h5py.h5t.FLOAT:
                    values = item[()]
                    return Stored("number", values, _declared_missing(item, values))
                case h5py.h5t.BITFIELD:
                    return Stored("bits", item[()])
                case h5py.h5t.STRING:
                    text = decoded(item[()])
                    if isinstance(text, int):
                        self.refuse(
                            expected="text in UTF-8",
                            found=f"other bytes in row {text}",
                            remedy="Write the file again with its text in UTF-8.",
                        )
                    return Stored("text", text)
                case other:
                    found = _CLASSES.get(other, f"the HDF5 type {item.dtype}")
        self.refuse(expected=self.wanted, found=found, remedy="Store one plain value a row.")

    def _enumeration(self, item: h5py.Dataset, declared: Any) -> Stored:
        """The name of each value. h5py drops the names, and accepts any number as a boolean."""
        base = declared.get_super().dtype
        raw = np.empty(item.shape, base)
        if raw.size:
            item.id.read(h5py.h5s.ALL, h5py.h5s.ALL, raw, mtype=declared)
        named = {
            int(declared.get_member_value(place)): declared.get_member_name(place).decode("utf-8")
            for place in range(declared.get_nmembers())
        }
        codes, inverse = np.unique(raw, return_inverse=True)
        nameless = np.array([int(code) not in named for code in codes], bool)[inverse]
        if nameless.any():
            self.refuse(
                expected=f"members of the enumeration that the file declares ({', '.join(list(named.values())[:6])})",
                found=examples(raw, nameless),
                remedy="Give the value a name in the enumeration, or correct it.",
            )
        if sorted(name.casefold() for name in named.values()) == ["false", "true"]:
            true = np.array([named[int(code)].casefold() == "true" for code in codes], bool)
            return Stored("truth", true[inverse])
        words = np.array([named[int(code)] for code in codes], dtype=np.str_)
        return Stored("names", words[inverse] if codes.size else np.empty(0, "U1"))

    def _refuse_attributes(self, group: h5py.Group, item: h5py.Dataset) -> None:
        """Refuse a dataset whose attributes declare that its numbers are not the values."""
        with h5_errors(self.path, self.where):
            declared = item.id.get_type().get_class()
            if declared in (h5py.h5t.STRING, h5py.h5t.ENUM):
                return
            found = next(
                (f"attribute {name!r}" for owner in (group, item) for name in owner.attrs if _recodes(owner, name)),
                None,
            )
        if found is not None:
            self.refuse(
                expected="numbers that are the values themselves",
                found=f"{found}, by which they stand for something else (scaled, dates, codes, masked)",
                remedy="Store the values that they stand for, without that attribute.",
            )


def _declared_missing(item: h5py.Dataset, values: np.ndarray) -> np.ndarray | None:
    """Rows with a value that the dataset's fill value or an attribute declares missing."""
    codes = [
        code
        for name in item.attrs
        if name.casefold() in _MISSING_ATTRIBUTES
        for code in np.ravel(item.attrs[name]).tolist()
        if isinstance(code, int | float)
    ]
    plist = item.id.get_create_plist()
    if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED and item.fillvalue != 0:
        codes.append(item.fillvalue.item())
    if not codes:
        return None
    return np.logical_or.reduce([_equals(values, code) for code in codes])


def _recodes(owner: h5py.Group | h5py.Dataset, name: str) -> bool:
    key = name.casefold()
    if key in _CODING_ATTRIBUTES:
        return True
    if key not in ("scale_factor", "add_offset", "units", "_unsigned", "value_type", "kind", "dtype"):
        return False
    value = owner.attrs[name]
    if key in ("scale_factor", "add_offset"):
        return bool(np.any(np.asarray(value) != (1 if key == "scale_factor" else 0)))
    text = (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).casefold()
    if key == "units":
        return " since " in text
    if key == "_unsigned":
        return text == "true"
    return "datetime" in text or "timedelta" in text


def decoded(values: np.ndarray) -> np.ndarray | int:
    """Bytes as text, or the first row that is not UTF-8."""
    words = []
    for row, value in enumerate(values.tolist()):
        try:
            words.append(value.decode("utf-8") if isinstance(value, bytes) else str(value))
        except UnicodeDecodeError:
            return row
    return np.array(words, dtype=np.str_) if words else np.empty(0, "U1")


def sentinels(values: np.ndarray) -> np.ndarray:
    """Codes of R, netCDF and Stata for a missing value, which depend on the stored type."""
    bad = np.zeros(len(values), bool)
    if values.dtype.kind == "f":
        if values.dtype.itemsize >= np.dtype(np.float32).itemsize:
            bad |= values == values.dtype.type(_FILL_FLOAT)
    elif values.dtype.kind == "i" and values.dtype.itemsize > 1:
        lowest = np.iinfo(values.dtype).min
        bad |= values <= lowest + 1
        if values.dtype.itemsize == 4:
            bad |= values >= _STATA
    return bad


def rows_of(code: str, form: str, values: np.ndarray) -> np.ndarray:
    """Rows with a code of ``inputs.missing``."""
    if form in ("text", "names"):
        return np.asarray(values == code)
    if form == "truth":
        return (
            values == {"true": True, "false": False}[code] if code in ("true", "false") else np.zeros(len(values), bool)
        )
    number = _number(code)
    return np.zeros(len(values), bool) if number is None else _equals(values, number)


def _number(code: str) -> int | float | None:
    for parse in (int, float):
        try:
            return parse(code)
        except ValueError:
            continue
    return None


def _equals(values: np.ndarray, code: float) -> np.ndarray:
    """Rows with a number, NaN among them."""
    if isinstance(code, float):
        if math.isnan(code):
            return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        if values.dtype.kind != "f":
            if not code.is_integer():
                return np.zeros(len(values), bool)
            code = int(code)
    return np.asarray(values == code)


def examples(values: np.ndarray, rows: np.ndarray) -> str:
    """The first value of each kind with its row, and how many there are."""
    places = np.flatnonzero(rows)
    seen: dict[str, int] = {}
    for row in places[:1000].tolist():
        value = values[row].item() if isinstance(values[row], np.generic) else values[row]
        seen.setdefault(f"{value:,}" if isinstance(value, int) else repr(value), row)
        if len(seen) == EXAMPLES:
            break
    shown = ", ".join(f"{value} in row {row}" for value, row in seen.items())
    return f"{shown} ({places.size:,} of {values.size:,} values)"
