"""What a source column may be: the one reading of it, without the model."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sentence import parts_of

from local_h5.errors import ConfigError, LocalH5Error, SourceError
from local_h5.inputs.columns import ColumnKind, read_column
from local_h5.inputs.missing import MissingRules

TENURE = ("OWNED", "RENTED", "NONE")
BOOL = ColumnKind("c", "person", "bool")
INT = ColumnKind("c", "person", "int", default=0)
FLOAT = ColumnKind("c", "person", "float", months="sum", default=0.0)
ENUM = ColumnKind("c", "person", "enum", members=TENURE, default="OWNED")
TEXT = ColumnKind("c", "person", "text", default="")
ID = ColumnKind("c", "person", "id")
MONTHS = [f"2024-{month:02d}" for month in range(1, 13)]

Write = Callable[[h5py.File], None]


def both(*writes: Write) -> Write:
    def write(file: h5py.File) -> None:
        for part in writes:
            part(file)

    return write


def stored(values: Any, period: str = "2024", attrs: dict[str, Any] | None = None, **options: Any) -> Write:
    def write(file: h5py.File) -> None:
        item = file.create_dataset(f"c/{period}", data=values, **options)
        item.attrs.update(attrs or {})

    return write


def enumeration(codes: Any, names: dict[str, int], base: str = "i1") -> Write:
    return stored(np.array(codes, base), dtype=h5py.enum_dtype(names, basetype=base))


def raw(values: np.ndarray, declared: Any) -> Write:
    """Bytes under a type that h5py does not make itself."""

    def write(file: h5py.File) -> None:
        space = h5py.h5s.create_simple(values.shape)
        made = h5py.h5d.create(file.create_group("c").id, b"2024", declared, space)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, values, mtype=declared)

    return write


def bits(values: np.ndarray) -> Write:
    return raw(values.astype("u1"), h5py.h5t.STD_B8LE)


def read(
    tmp: Path, kind: ColumnKind, write: Write, missing: dict[Any, Any] | None = None, **options: Any
) -> dict[str, np.ndarray]:
    path = tmp / "source.h5"
    with h5py.File(path, "w", **options) as file:
        write(file)
    rules = MissingRules.from_config({"c": missing} if missing else None).rules.get("c")
    with h5py.File(path) as file:
        return read_column(path, file, kind, tuple(sorted(file["c"])), year=2024, n_rows=None, missing=rules)


def refusal(tmp: Path, kind: ColumnKind, write: Write, **options: Any) -> LocalH5Error:
    with pytest.raises(LocalH5Error) as caught:
        read(tmp, kind, write, **options)
    error = caught.value
    assert "\n" not in str(error)
    assert parts_of(error).expected
    assert parts_of(error).found
    assert parts_of(error).remedy
    return error


NA = {"FALSE": 0, "TRUE": 1, "NA": 2}
ACCEPTED = {
    # what the file has: kind, how it is stored, the values that must come out
    "booleans": (BOOL, stored([True, False]), [True, False]),
    "booleans of another tool": (BOOL, enumeration([1, 0], {"false": 0, "true": 1}), [True, False]),
    "booleans whose numbers are swapped": (BOOL, enumeration([1, 0], {"TRUE": 0, "FALSE": 1}), [False, True]),
    "swapped and wide": (BOOL, enumeration([7, -3], {"TRUE": -3, "FALSE": 7}, ">i4"), [False, True]),
    "yes and no": (BOOL, enumeration([5, 6], {"Yes": 5, "No": 6}, "u2"), [True, False]),
    "an R logical without NA": (BOOL, enumeration([1, 0], NA), [True, False]),
    "numbers 0 and 1": (BOOL, stored(np.array([1, 0], ">i8")), [True, False]),
    "floats 0 and 1": (BOOL, stored([1.0, 0.0]), [True, False]),
    "PyTables booleans": (BOOL, bits(np.array([1, 0])), [True, False]),
    "the model's own negative default": (ColumnKind("c", "person", "int", default=-1), stored([-1, 0]), [-1, 0]),
    "booleans as a count, by name": (INT, enumeration([0, 1], {"TRUE": 0, "FALSE": 1}), [1, 0]),
    "whole floats": (INT, stored([3.0, 2_000_000_000.0]), [3, 2_000_000_000]),
    "short integers": (INT, stored(np.array([3, 200], "u1")), [3, 200]),
    "an amount in cents of float16": (FLOAT, stored(np.array([0.25, -3.5], "f2")), [0.25, -3.5]),
    "an integer amount": (FLOAT, stored(np.array([-5, 70_000], ">i4")), [-5, 70_000]),
    "long double": (FLOAT, stored(np.array([0.1, -2], np.longdouble)), [np.float32(0.1), -2]),
    "member names": (ENUM, stored([b"RENTED", b"OWNED"]), ["RENTED", "OWNED"]),
    "variable text": (ENUM, stored(["RENTED", "OWNED"], dtype=h5py.string_dtype()), ["RENTED", "OWNED"]),
    "an enumeration in another order": (ENUM, enumeration([0, 1], {"RENTED": 0, "OWNED": 1}), ["RENTED", "OWNED"]),
    "an enumeration of wide numbers": (
        ENUM, enumeration([900, -4], {"NONE": 900, "OWNED": -4}, "<i8"), ["NONE", "OWNED"]),
    "text beyond ASCII": (TEXT, stored(["Doña", ""], dtype=h5py.string_dtype()), ["Doña", ""]),
    "text by enumeration": (TEXT, enumeration([1, 0], {"a": 0, "b": 1}), ["b", "a"]),
    "large ids": (ID, stored(np.array([2**62, 2**62 + 1], "u8")), [2**62, 2**62 + 1]),
    "ids as floats": (ID, stored([2.0**52, 2.0**52 + 1]), [2**52, 2**52 + 1]),
    "ids for all time": (ID, stored([4, 5], "ETERNITY"), [4, 5]),
    "attributes that change nothing": (
        FLOAT, stored([1.0, 2.0], attrs={"scale_factor": 1.0, "add_offset": 0, "units": "USD", "title": "x"}), [1, 2]),
    "a fill value that nobody used": (FLOAT, stored([1.0, 2.0], fillvalue=-1.0), [1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_values_are_those_that_the_file_means(tmp_path: Path, case: str, libver: str) -> None:
    kind, write, expected = ACCEPTED[case]
    (values,) = read(tmp_path, kind, write, libver=libver).values()
    assert values.tolist() == expected
    types = {"bool": "?", "int": "i4", "float": "f4", "id": "i8"}
    assert values.dtype.kind == "U" if kind.value in ("enum", "text") else values.dtype == types[kind.value]


NO = np.array([0, 1], bool)
REFUSED = {
    # what the file has: kind, how it is stored, what the refusal says was found
    "NaN for yes or no": (BOOL, stored([1.0, np.nan]), "nan in row 1 (1 of 2 values)"),
    "not in universe": (BOOL, stored(np.array([-1, 1], "i1")), "-1 in row 0"),
    "an R logical NA": (BOOL, enumeration([1, 2], NA), "'NA' in row 1"),
    "an R integer NA": (BOOL, stored(np.array([1, -(2**31)], "i4")), "-2,147,483,648 in row 1"),
    "nine": (BOOL, stored([0, 9]), "9 in row 1"),
    "all bits": (BOOL, stored(np.array([0, 255], "u1")), "255 in row 1"),
    "bits that are no boolean": (BOOL, bits(np.array([0, 4])), "4 in row 1"),
    "one and two": (BOOL, stored([1, 2]), "2 in row 1"),
    "half": (BOOL, stored([0.5, 1]), "0.5 in row 0"),
    "names that say neither": (BOOL, enumeration([1, 2], {"Male": 1, "Female": 2}), "'Male' in row 0"),
    "a number that has no name": (BOOL, raw(np.array([2, 0], "i1"), h5py.h5t.py_create(NO.dtype)), "2 in row 0"),
    "words for yes or no": (BOOL, stored([b"yes", b"no"]), "text"),
    "NaN for a count": (INT, stored([1, np.nan]), "nan in row 1"),
    "an R NA for a count": (INT, stored(np.array([1, -(2**31)], "i4")), "-2,147,483,648 in row 1"),
    "an R NA of bit64": (INT, stored([1, -(2**63)]), "-9,223,372,036,854,775,808 in row 1"),
    "not asked": (INT, stored([1, -1]), "-1 in row 1"),
    "beyond int32": (INT, stored([1, 3_000_000_000]), "3,000,000,000 in row 1"),
    "beyond int64": (INT, stored(np.array([1, 2**63], "u8")), "9,223,372,036,854,775,808 in row 1"),
    "a large float": (INT, stored([1, 1e30]), "1e+30 in row 1"),
    "half a count": (INT, stored([1, 2.5]), "2.5 in row 1"),
    "an infinite count": (INT, stored([1, np.inf]), "inf in row 1"),
    "Stata's code": (INT, stored(np.array([1, 2_147_483_621], "i4")), "2,147,483,621 in row 1"),
    "names for a count": (INT, enumeration([1, 2], {"one": 1, "two": 2}), "enumeration ('one', 'two')"),
    "text for a count": (INT, stored([b"1", b"2"]), "text"),
    "booleans for an amount": (FLOAT, stored([True, False]), "true and false"),
    "NaN for an amount": (FLOAT, stored([1, np.nan]), "nan in row 1"),
    "infinite": (FLOAT, stored([1, -np.inf]), "-inf in row 1"),
    "an R NA for an amount": (FLOAT, stored(np.array([1, -(2**31)], "i4")), "-2,147,483,648 in row 1"),
    "netCDF's filling": (FLOAT, stored([1, 9.969209968386869e36]), "9.969209968386869e+36 in row 1"),
    "beyond float32": (FLOAT, stored([1, 1e39]), "1e+39 in row 1"),
    "below float32": (FLOAT, stored([1, 1e-50]), "1e-50 in row 1"),
    "a few bits of float32": (FLOAT, stored([1, 1.1e-41]), "1.1e-41 in row 1"),
    "beyond float64": (FLOAT, stored(np.array(["1", "1e999"], np.longdouble)), "row 1"),
    "complex": (FLOAT, stored(np.array([1, 2 + 1j])), "compound records"),
    "complex without imaginary part": (FLOAT, stored(np.array([1, 2 + 0j], "c8")), "compound records"),
    "a record": (FLOAT, stored(np.zeros(2, [("a", "f4")])), "compound records"),
    "a date for money": (
        FLOAT, stored(np.array(["2024-01-01"] * 2, "M8[D]").astype(h5py.opaque_dtype("M8[D]"))), "opaque bytes"),
    "a date in numbers": (
        FLOAT, stored([1.0, 2.0], attrs={"units": "days since 1970-01-01"}), "attribute 'units'"),
    "pandas' dates": (INT, stored([1, 2], attrs={"value_type": "datetime64"}), "attribute 'value_type'"),
    "scaled": (FLOAT, stored([1, 2], attrs={"scale_factor": 0.01}), "attribute 'scale_factor'"),
    "moved": (INT, stored([1, 2], attrs={"add_offset": 1900}), "attribute 'add_offset'"),
    "codes with a list of names": (INT, stored([1, 2], attrs={"flag_meanings": "a b"}), "attribute 'flag_meanings'"),
    "the file's own filling": (FLOAT, stored([1.0, -999.0], attrs={"_FillValue": -999.0}), "-999.0 in row 1"),
    "its missing value": (INT, stored([1, 99], attrs={"missing_value": [98, 99]}), "99 in row 1"),
    "what nobody wrote": (FLOAT, stored([1.0, -5.0], fillvalue=-5.0), "-5.0 in row 1"),
    "references": (
        FLOAT, lambda file: file.create_dataset("c/2024", data=[file.ref] * 2, dtype=h5py.ref_dtype) and None,
        "references"),
    "lists": (
        FLOAT, lambda file: file.create_dataset("c/2024", (2,), h5py.vlen_dtype("f4")) and None, "varying length"),
    "arrays": (FLOAT, lambda file: file.create_dataset("c/2024", (2,), "(2,)f4") and None, "small arrays"),
    "a table": (FLOAT, stored(np.zeros((2, 2))), "(2, 2)"),
    "one number": (FLOAT, stored(1.0), "()"),
    "nothing": (FLOAT, stored(h5py.Empty("f4")), "an empty dataset"),
    "a group": (FLOAT, lambda file: file.create_group("c/2024/values") and None, "a group"),
    "an index": (ENUM, stored([0, 1]), "0 in row 0, 1 in row 1 (2 of 2 values)"),
    "an index as floats": (ENUM, stored([0.0, 1.0]), "0.0 in row 0"),
    "no member": (ENUM, stored([b"RENTED", b"SQUATTED"]), "'SQUATTED' in row 1"),
    "empty text": (ENUM, stored([b"RENTED", b""]), "'' in row 1"),
    "an enumeration's other name": (ENUM, enumeration([0, 1], {"OWNED": 0, "na": 1}), "'na' in row 1"),
    "booleans for an enum": (ENUM, stored([True, False]), "true and false"),
    "numbers for text": (TEXT, stored([6037, 1001]), "numbers"),
    "Latin-1": (TEXT, stored(["Doña".encode("latin-1"), b"a"]), "other bytes in row 0"),
    "an id that is missing": (ID, stored([1, np.nan]), "nan in row 1"),
    "an id of R that is missing": (ID, stored(np.array([1, -(2**31)], "i4")), "-2,147,483,648 in row 1"),
    "half an id": (ID, stored([1, 2.5]), "2.5 in row 1"),
    "ids that int64 does not hold": (ID, stored(np.array([1, 2**63], "u8")), "9,223,372,036,854,775,808"),
    "ids that float64 rounds": (ID, stored([1.0, 2.0**53]), "9007199254740992.0 in row 1"),
    "ids that float32 rounds": (ID, stored(np.array([1, 2**24], "f4")), "16777216.0 in row 1"),
    "ids by name": (ID, enumeration([0, 1], {"a": 0, "b": 1}), "enumeration"),
    "text ids": (ID, stored([b"1", b"2"]), "text"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_kept_is_one_line(tmp_path: Path, case: str) -> None:
    kind, write, found = REFUSED[case]
    error = refusal(tmp_path, kind, write)
    assert type(error) is SourceError
    assert parts_of(error).where == str(tmp_path / "source.h5")
    assert parts_of(error).field in ("c", "c/2024")
    assert found in parts_of(error).found


LINES = {
    "NaN": (BOOL, stored([1.0, np.nan, 0]), [True, False, False]),
    "several codes": (BOOL, stored([1, 8, 9, -1]), [True, False, False, False]),
    "an R logical": (BOOL, enumeration([1, 2], NA), [True, False]),
    "a count": (INT, stored([4, -1]), [4, 0]),
    "a float count": (INT, stored([4, np.nan]), [4, 0]),
    "an R integer": (INT, stored(np.array([4, -(2**31)], "i4")), [4, 0]),
    "an amount": (FLOAT, stored([4, np.nan, np.inf, -np.inf]), [4, 0, 0, 0]),
    "an id of nobody": (ColumnKind("c", "person", "id", default=0), stored([7, np.nan]), [7, 0]),
    "empty text": (ENUM, stored([b"RENTED", b""]), ["RENTED", "OWNED"]),
    "text with quotes": (ENUM, stored([b"RENTED", b'it\'s "na"']), ["RENTED", "OWNED"]),
    "an index": (ENUM, stored([1, 2, 0]), ["RENTED", "NONE", "OWNED"]),
    "an enumeration": (ENUM, enumeration([0, 1], {"RENTED": 0, "NO": 1}), ["RENTED", "OWNED"]),
    "the file's own code": (FLOAT, stored([1.0, -9.0], attrs={"missing_value": -9.0}), [1, 0]),
}


@pytest.mark.parametrize("case", LINES)
def test_the_refusal_prints_the_rule_that_mends_it(tmp_path: Path, case: str) -> None:
    kind, write, expected = LINES[case]
    error = refusal(tmp_path, kind, write)
    line = parts_of(error).remedy.partition("inputs:")[2]
    config = yaml.safe_load(f"inputs:{line}")
    assert yaml.safe_load(json.dumps(config)) == config  # the run's configuration is kept as JSON
    rules = config["inputs"]["missing"]["c"]
    (values,) = read(tmp_path, kind, write, missing=rules).values()
    assert values.tolist() == expected


@pytest.mark.parametrize(
    ("kind", "write", "rules", "expected"),
    [
        (BOOL, stored([1.0, np.nan]), {math.nan: True}, [True, True]),
        (BOOL, stored(np.array([1, -1], "f4")), {-1: False}, [True, False]),
        (BOOL, stored([1, 2]), {1: True, 2: False}, [True, False]),
        (FLOAT, stored([5, 99_999_999]), {"99999999": 0}, [5, 0]),
        (FLOAT, stored(np.array([0.1, 5], "f4")), {0.1: 2.5}, [2.5, 5]),
        (FLOAT, stored([1e39, 5]), {1e39: 0}, [0, 5]),
        (INT, stored([3_000_000_000, 5]), {3_000_000_000: 7}, [7, 5]),
        (INT, stored([-1, 5]), {"-1": -1}, [-1, 5]),
        (ID, stored([-1, 2**62]), {-1: 0}, [0, 2**62]),
        (ENUM, stored([b"", b"NONE"]), {"": "RENTED"}, ["RENTED", "NONE"]),
        (TEXT, stored([b"na", b"x"]), {"na": "not asked"}, ["not asked", "x"]),
    ],
)
def test_a_rule_decides_what_a_code_means(
    tmp_path: Path, kind: ColumnKind, write: Write, rules: dict[Any, Any], expected: list[Any]
) -> None:
    (values,) = read(tmp_path, kind, write, missing=rules).values()
    assert values.tolist() == np.array(expected, values.dtype).tolist()


@pytest.mark.parametrize(
    ("kind", "value"),
    [(BOOL, 0), (BOOL, "no"), (INT, 1.5), (INT, True), (INT, 2**31), (FLOAT, math.inf), (FLOAT, 1e39), (FLOAT, False),
     (ENUM, "SQUATTED"), (ENUM, 0), (TEXT, 0), (ID, 0.5), (ID, True)],
)  # fmt: skip
def test_a_rule_gives_what_the_variable_can_have(tmp_path: Path, kind: ColumnKind, value: Any) -> None:
    values = [b"NONE", b"NONE"] if kind.value in ("enum", "text") else [0, 1]
    error = refusal(tmp_path, kind, stored(values), missing={"-1": value})
    assert type(error) is ConfigError
    assert parts_of(error).field == "c.-1"


# --- periods


def months(values: Any, *, skip: int | None = None) -> Write:
    def write(file: h5py.File) -> None:
        for number, month in enumerate(MONTHS):
            if number != skip:
                file[f"c/{month}"] = values(number) if callable(values) else values

    return write


def test_twelve_months_of_a_flow_are_summed_in_float64(tmp_path: Path) -> None:
    values = np.array([1 / 3, 1e7 + 0.1, -5.25])
    found = read(tmp_path, FLOAT, months(lambda number: values * (number + 1)))
    assert found.keys() == {"2024"}
    assert found["2024"].dtype == np.float32
    assert found["2024"].tolist() == (values * 78).astype(np.float32).tolist()
    large = np.array([16_777_217.0, 1.0])  # float32 would drop the one in every month
    assert read(tmp_path, FLOAT, months(large))["2024"].tolist() == (large * 12).astype(np.float32).tolist()


@pytest.mark.parametrize(
    ("kind", "values"),
    [(BOOL, [True, False]), (INT, [4, 5]), (ENUM, [b"NONE", b"OWNED"]), (TEXT, [b"a", b""]),
     (ColumnKind("c", "person", "float"), [0.5, 40.0]), (ColumnKind("c", "person", "bool", "eternity"), [True, False])],
)  # fmt: skip
def test_months_of_what_does_not_add_up_must_be_equal(tmp_path: Path, kind: ColumnKind, values: list[Any]) -> None:
    found = read(tmp_path, kind, months(values))
    assert found.keys() == {"ETERNITY" if kind.period == "eternity" else "2024"}
    (held,) = found.values()
    assert held.tolist() == [v.decode() if isinstance(v, bytes) else v for v in values]
    error = refusal(tmp_path, kind, months(lambda number: values if number < 7 else values[::-1]))
    assert parts_of(error).field == "c/2024-08"
    assert "row 0" in str(error)


def test_a_monthly_variable_keeps_its_months_or_its_year(tmp_path: Path) -> None:
    kind = ColumnKind("c", "person", "float", "month")
    found = read(tmp_path, kind, months(lambda number: np.array([number, 1.0])))
    assert list(found) == MONTHS
    assert [values[0] for values in found.values()] == list(range(12))
    assert list(read(tmp_path, kind, stored([24.0, 1.0]))) == ["2024"]  # the model makes twelve months of it


ODD_PERIODS = {
    "one month of a yearly variable": (FLOAT, stored([1.0], "2024-07")),
    "months that may or may not add up": (ColumnKind("c", "person", "float", months="refuse"), months([40.0])),
    "eleven months": (FLOAT, months([1.0], skip=4)),
    "one month of a monthly variable": (ColumnKind("c", "person", "bool", "month"), stored([True], "2024-01")),
    "for all time": (FLOAT, stored([1.0], "ETERNITY")),
    "a month for all time": (ColumnKind("c", "person", "bool", "eternity"), stored([True], "2024-07")),
    "a month of ids": (ID, stored([1], "2024-07")),
    "year and months": (FLOAT, both(months([1.0]), stored([12.0]))),
    "year and all time": (
        ColumnKind("c", "person", "bool", "eternity"),
        both(stored([True], "ETERNITY"), stored([True]))),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_PERIODS)
def test_a_part_of_a_period_is_refused(tmp_path: Path, case: str) -> None:
    kind, write = ODD_PERIODS[case]
    error = refusal(tmp_path, kind, write)
    assert parts_of(error).field == "c"
    assert "the model has this variable" in str(error)


def test_a_broken_link_is_one_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, FLOAT, lambda file: file.create_group("c").__setitem__("2024", h5py.SoftLink("/no")))
    assert "KeyError" in str(error)


# --- every accepted value survives


def read_back(tmp: Path, kind: ColumnKind, values: np.ndarray, **options: Any) -> np.ndarray | None:
    try:
        (found,) = read(tmp, kind, stored(values, **options)).values()
    except SourceError:
        return None
    return found


numbers = st.one_of(
    hnp.integer_dtypes(endianness="?"), hnp.unsigned_integer_dtypes(endianness="?"), hnp.floating_dtypes(endianness="?")
).flatmap(lambda dtype: hnp.arrays(dtype, st.integers(0, 4)))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("columns")


@settings(max_examples=60, deadline=None)
@given(values=numbers, kind=st.sampled_from([BOOL, INT, ID]))
def test_an_accepted_number_is_exactly_the_stored_one(shared: Path, values: np.ndarray, kind: ColumnKind) -> None:
    found = read_back(shared, kind, values)
    if found is not None:
        assert [int(value) for value in found] == values.tolist()  # whole numbers of Python have no limits


@settings(max_examples=60, deadline=None)
@given(values=numbers)
def test_an_accepted_amount_is_the_stored_one_in_float32(shared: Path, values: np.ndarray) -> None:
    found = read_back(shared, FLOAT, values)
    if found is not None:
        assert np.isfinite(found).all()
        for kept, value in zip(found.tolist(), values.tolist(), strict=True):
            assert abs(kept - value) <= abs(value) * 2.0**-24 * 1.0001  # a double rounding at most


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(TENURE),
    codes=st.lists(st.integers(-100, 100), min_size=3, max_size=3, unique=True),
    rows=st.lists(st.integers(0, 2), max_size=5),
)
def test_an_enumeration_is_read_by_name_whatever_its_numbers(
    shared: Path, order: list[str], codes: list[int], rows: list[int]
) -> None:
    names = dict(zip(order, codes, strict=True))
    values = np.array([codes[row] for row in rows], "i1")
    (found,) = read(shared, ENUM, enumeration(values, names)).values()
    assert found.tolist() == [order[row] for row in rows]


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4), max_size=4))
def test_text_survives(shared: Path, values: list[str]) -> None:
    (found,) = read(shared, TEXT, stored(np.array(values, object), dtype=h5py.string_dtype())).values()
    assert found.tolist() == values
