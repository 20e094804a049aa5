"""Reading a column of the source. All parts of the library that need a column read it here.

The HDF5 file declares the type of a dataset, and the model declares the variable. From both follow exactly the values
of the file, in the model's type and for the model's period, or a refusal with file, variable, row and value. Nothing is
wrapped, cut, guessed or dropped. Only float32, the model's own type of amounts, rounds the last bits.
docs/source-columns.md lists what is accepted and what is refused.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import h5py
import numpy as np

from local_h5.errors import ConfigError, SourceError
from local_h5.files.single import beyond_float32
from local_h5.inputs.missing import Value, code_text
from local_h5.inputs.stored import EXAMPLES, Stored, examples, read_stored, rows_of, sentinels

ETERNITY = "ETERNITY"
MONTHS = 12

_LINES = 20
"""Most codes that a refusal lists in the rule that it proposes."""

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
"""Member names of an enumeration that mean yes or no, in any case."""

_FLOAT_EXACT = 2**53

_FORMS = {"truth": "true and false", "number": "numbers", "bits": "bit fields", "text": "text", "names": "enumeration"}


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """What a variable is.

    Attributes:
        name: of the variable.
        entity: whose rows it has.
        value: its type; ``id`` is an integer that names a unit, kept as int64.
        period: how often the model has it.
        months: how twelve months give the value of a year: their sum, the one value that all have, or not at all.
        members: of an enum, in the model's order.
        default: the model's value for a variable that is not given; refusals propose it.
        codes: whether numbers are accepted for this text (the codes of a place, which no file takes from the source).
    """

    name: str
    entity: str
    value: Literal["bool", "int", "float", "enum", "text", "id"]
    period: Literal["year", "month", "eternity"] = "year"
    months: Literal["sum", "equal", "refuse"] = "equal"
    members: tuple[str, ...] = ()
    default: Value = False
    codes: bool = False


def read_column(
    path: Path,
    file: h5py.File | Mapping[str, Stored],
    kind: ColumnKind,
    periods: tuple[str, ...],
    *,
    year: int,
    n_rows: int | None,
    missing: Mapping[str, Value] | None = None,
) -> dict[str, np.ndarray]:
    """All values of a variable, in the model's type and period.

    Args:
        path: the source, for errors.
        file: the same, open; or what it declares of each variable, for a form that has one period.
        kind: what the variable is.
        periods: the stored ones, ascending: years, months or ``ETERNITY``.
        year: of the source.
        n_rows: of the entity; None when any number will do.
        missing: code → value, of this variable.

    Returns:
        Period → (n_rows,) values: bool, int32, float32, int64 for ids, text in ``U``, and for an enum the member names
        in ``U``. The period is the year, twelve months of a monthly variable, or ``ETERNITY``; a year of a monthly
        variable is left to the model, which makes twelve months of it.

    Raises:
        SourceError: a value, type or period that cannot be kept exactly.
        ConfigError: a rule gives a value that the variable cannot have.
    """
    column = _Column(path, kind, missing or {})
    action = column.period_action(periods, year)
    parts = {}
    for period in periods:
        values = column.wide(file, period)
        if n_rows is not None and len(values) != n_rows:
            column.refuse(
                period,
                expected=f"{n_rows:,} values, one for each {kind.entity}",
                found=f"{len(values):,}",
                remedy="Store the variable for the entity that the model gives it.",
            )
        parts[period] = values
    key = ETERNITY if kind.period == "eternity" else str(year)
    if action == "sum":
        parts = {key: column.sum(parts)}
    elif action == "equal":
        parts = {key: column.equal(parts)}
    elif action == "rename":
        parts = {key: parts[periods[0]]}
    return {period: column.narrow(period, values) for period, values in parts.items()}


class _Column:
    def __init__(self, path: Path, kind: ColumnKind, missing: Mapping[str, Value]) -> None:
        self.path, self.kind, self.rules = path, kind, missing

    def refuse(self, period: str | None, *, expected: str, found: str, remedy: str) -> NoReturn:
        name = self.kind.name
        # Ids are one column for the whole file, whatever its period.
        where = name if period is None or self.kind.value == "id" else f"{name}/{period}"
        raise SourceError(f"{self.path}: {where}: expected {expected}, found {found}. {remedy}")

    # --- periods

    def period_action(self, periods: tuple[str, ...], year: int) -> Literal["keep", "rename", "sum", "equal"]:
        """How the stored periods become the model's period."""
        kind = self.kind
        months = tuple(f"{year}-{month:02d}" for month in range(1, MONTHS + 1))
        own = (str(year),)
        if periods in (own, (ETERNITY,)) and (kind.period == "eternity" or kind.value == "id"):
            return "rename"
        if periods == own:
            return "keep"
        if periods == months:
            if kind.period == "month":
                return "keep"
            if kind.months != "refuse":
                return kind.months
        allowed = {
            "year": f"{year}" + ("" if kind.months == "refuse" else ", or its twelve months"),
            "month": f"{year}, or its twelve months",
            "eternity": f"{ETERNITY} or {year}",
        }[kind.period]
        listed = ", ".join(periods[:EXAMPLES]) + (" …" if len(periods) > EXAMPLES else "")
        found = f"{listed} ({len(periods)} periods)" if len(periods) > 1 else listed
        own_period = {"year": "the year", "month": "the month", "eternity": "all time"}[kind.period]
        self.refuse(
            None,
            expected=f"the period {allowed}: the model has this variable for {own_period}",
            found=found,
            remedy="Store the whole of it, once.",
        )

    def sum(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """The year of twelve months; float64 or int64."""
        with np.errstate(over="ignore"):
            total: np.ndarray = np.sum(np.stack(list(parts.values())), axis=0)
        return total

    def equal(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """The one value of twelve months."""
        first_period, first = next(iter(parts.items()))
        for period, values in parts.items():
            differs = np.flatnonzero(values != first)
            if differs.size:
                row = differs[0]
                self.refuse(
                    period,
                    expected=f"the value of {first_period}: what the model has by the year and does not add up must be "
                    "equal in all months",
                    found=f"{self._shown(values[row])} against {self._shown(first[row])} in row {row} "
                    f"({differs.size:,} of {values.size:,} rows differ)",
                    remedy="Store the value of the year.",
                )
        return first

    # --- values

    def wide(self, file: h5py.File | Mapping[str, Stored], period: str) -> np.ndarray:
        """The values of one dataset in the widest form of their kind: bool, int64, float64, or text."""
        if isinstance(file, h5py.File):
            stored = read_stored(
                self.path, file, self.kind.name, period, wanted=self._wanted(), refuse=partial(self.refuse, period)
            )
        else:
            stored = file[self.kind.name]
        if stored.entity is not None and self.kind.value != "id" and stored.entity != self.kind.entity:
            self.refuse(
                period,
                expected=f"a column of the table {self.kind.entity}: the model has this variable for each "
                f"{self.kind.entity}",
                found=f"it in the table {stored.entity}",
                remedy="Store the variable for the entity that the model gives it.",
            )
        values, form = stored.values, stored.form
        accepted = {
            "bool": ("truth", "number", "bits", "names"),
            "int": ("truth", "number"),
            "float": ("number",),
            "enum": ("text", "names", "number"),
            "text": ("text", "names", "number") if self.kind.codes else ("text", "names"),
            "id": ("number",),
        }[self.kind.value]
        if form not in accepted:
            declared = f" ({self._listed(values)})" if form == "names" else ""
            if self.kind.value == "id":
                declared = f" of dtype {values.dtype}"
            self.refuse(
                period,
                expected=self._wanted(),
                found=f"{_FORMS[form]}{declared}",
                remedy=self._type_remedy(),
            )
        match self.kind.value:
            case "bool":
                wide, bad = self._truth(form, values)
            case "int" | "id":
                wide, bad = self._integers(values, period)
            case "float":
                wide, bad = self._floats(values, period)
            case "enum":
                names = np.array(self.kind.members, dtype=np.str_)
                known = np.isin(values, names) if form != "number" else np.zeros(len(values), bool)
                wide, bad = (values if form != "number" else np.full(len(values), "", names.dtype)), ~known
            case "text":
                wide, bad = values, np.zeros(len(values), bool)
        if stored.missing is not None:
            bad |= stored.missing
        if form == "number" and self.kind.value not in ("enum", "text"):
            bad |= sentinels(values)
        if self.rules:
            wide, bad = self._ruled(form, values, wide, bad)
        if bad.any():
            self._refuse_codes(period, form, values, bad)
        if self.kind.value == "int":
            self._refuse_unfit(period, wide, wide > np.iinfo(np.int32).max)
        return wide

    def _truth(self, form: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if form == "truth":
            return values, np.zeros(len(values), bool)
        if form == "names":
            words, inverse = np.unique(values, return_inverse=True)
            known = [_TRUTH.get(word.casefold()) for word in words.tolist()]
            true = np.array([item is True for item in known], bool)
            return true[inverse], np.array([item is None for item in known], bool)[inverse]
        one = values == 1
        return one, ~one & (values != 0)

    def _integers(self, values: np.ndarray, period: str) -> tuple[np.ndarray, np.ndarray]:
        if values.dtype.kind != "f":
            if values.dtype.kind == "u":
                self._refuse_unfit(period, values, (values > np.iinfo(np.int64).max) & ~self._has_rule(values))
            wide = values.astype(np.int64)
            return wide, self._negative(wide)
        bad = ~np.isfinite(values)
        finite = np.where(bad, 0, values).astype(np.result_type(values.dtype, np.float64))
        # An id that a float rounded would be another unit's; a number beyond int32 is refused with the others below.
        exact = 2.0 ** (np.finfo(values.dtype).nmant + 1) if self.kind.value == "id" else float(_FLOAT_EXACT)
        lost = (finite != np.trunc(finite)) | (np.abs(finite) >= exact)
        self._refuse_unfit(period, values, lost & ~self._has_rule(values))
        wide = np.where(lost, 0, finite).astype(np.int64)
        return wide, bad | self._negative(wide)

    def _negative(self, wide: np.ndarray) -> np.ndarray:
        """Negative numbers: the model has none, and surveys use them for questions that were not asked."""
        if self.kind.value == "id":
            return np.zeros(len(wide), bool)
        return (wide < 0) & (wide != self.kind.default)  # a few say -1 themselves when nothing was given

    def _floats(self, values: np.ndarray, period: str) -> tuple[np.ndarray, np.ndarray]:
        bad = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            wide = values.astype(np.float64)
        # Beyond float64 (long double): as what float32 does not hold, but found before the cast.
        lost = ~bad & (~np.isfinite(wide) | ((wide == 0) & (values != 0)))
        self._refuse_unfit(period, values, lost & ~self._has_rule(values))
        return wide, bad

    def narrow(self, period: str, values: np.ndarray) -> np.ndarray:
        """Values in the model's own type."""
        if self.kind.value == "int":
            self._refuse_unfit(period, values, values > np.iinfo(np.int32).max)  # a sum
            return values.astype(np.int32)
        if self.kind.value == "float":
            self._refuse_unfit(period, values, ~np.isfinite(values) | beyond_float32(values))
            return values.astype(np.float32)
        return values

    # --- rules for missing values

    def _ruled(self, form: str, values: np.ndarray, wide: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = wide.copy()
        for code, given in self.rules.items():
            value = self._rule_value(code, given)
            rows = rows_of(code, form, values)
            if not rows.any():
                continue
            if wide.dtype.kind == "U":
                wide = wide.astype(np.result_type(wide.dtype, np.array(value)))
            wide[rows] = value
            bad = bad & ~rows
        return wide, bad

    def _has_rule(self, values: np.ndarray) -> np.ndarray:
        rows = np.zeros(len(values), bool)
        for code in self.rules:
            rows |= rows_of(code, "number", values)
        return rows

    def _rule_value(self, code: str, given: Value) -> Value:
        fits: Mapping[str, Callable[[Any], bool]] = {
            "bool": lambda v: isinstance(v, bool),
            "int": lambda v: isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**31,
            "float": lambda v: (
                isinstance(v, int | float)
                and not isinstance(v, bool)
                and math.isfinite(v)
                and not beyond_float32(np.array([float(v)])).any()
            ),
            "enum": lambda v: v in self.kind.members,
            "text": lambda v: isinstance(v, str),
            "id": lambda v: isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**63,
        }
        if not fits[self.kind.value](given):
            raise ConfigError(
                f"inputs.missing: {self.kind.name}.{code}: expected {self._wanted()}, found {given!r}. Correct "
                "the rule."
            )
        return given

    # --- refusals

    def _refuse_unfit(self, period: str, values: np.ndarray, lost: np.ndarray) -> None:
        """Refuse numbers that do not fit into the model's type."""
        if lost.any():
            self.refuse(
                period,
                expected=self._wanted(),
                found=examples(values, lost),
                remedy="Store numbers that fit; they are never wrapped, cut or rounded to fit.",
            )

    def _refuse_codes(self, period: str, form: str, values: np.ndarray, bad: np.ndarray) -> NoReturn:
        if self.kind.value == "id" and self.kind.default is False:  # of the unit itself
            self.refuse(period, expected=self._wanted(), found=examples(values, bad), remedy="Fill the missing ids.")
        codes = sorted({code_text(value) for value in np.unique(values[bad]).tolist()}, key=lambda c: (len(c), c))
        remedy = f"If they say that the value is missing, say what to take for them: {self._lines(codes)}"
        if self.kind.value == "enum" and form == "number":
            remedy = (
                "Store the members' names, for the numbers change from one model to the next; or say what each number "
                f"means (here as the installed model has them): {self._lines(codes)}"
            )
        self.refuse(period, expected=self._wanted(), found=examples(values, bad), remedy=remedy)

    def _lines(self, codes: list[str]) -> str:
        """The rule to write, in one line of YAML (which JSON is)."""
        rules = ", ".join(f"{json.dumps(code, ensure_ascii=False)}: {self._proposed(code)}" for code in codes[:_LINES])
        more = f" (and {len(codes) - _LINES} more codes)" if len(codes) > _LINES else ""
        return f"inputs: {{missing: {{{self.kind.name}: {{{rules}}}}}}}{more}"

    def _proposed(self, code: str) -> str:
        members = self.kind.members
        if members and code.isdigit() and int(code) < len(members):
            return json.dumps(members[int(code)], ensure_ascii=False)
        return json.dumps(self.kind.default, ensure_ascii=False)

    def _wanted(self) -> str:
        members = self.kind.members
        some = ", ".join(members[:6]) + (", …" if len(members) > 6 else "")
        return {
            "bool": "yes or no: 0, 1, true or false",
            "int": "int values: whole numbers from 0 to 2,147,483,647",
            "float": "float values: finite numbers that float32 holds",
            "enum": f"members of the model's enum ({some})",
            "text": "text",
            "id": "integers: whole numbers that int64 and float64 hold",
        }[self.kind.value]

    def _type_remedy(self) -> str:
        return {
            "bool": "Store booleans, or numbers 0 and 1.",
            "int": "Store numbers.",
            "float": "Store numbers.",
            "enum": "Store the members' names.",
            "text": "Store text.",
            "id": "Store the ids as integers.",
        }[self.kind.value]

    def _listed(self, names: np.ndarray) -> str:
        return ", ".join(map(repr, np.unique(names)[:EXAMPLES].tolist()))

    def _shown(self, value: Any) -> str:
        return repr(value.item()) if isinstance(value, np.generic) else repr(value)
