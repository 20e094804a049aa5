"""Checks of one file's structure, on the file itself, without the model.

Every area job runs them after it has written its file, so they must be quick: one pass over the datasets, about ten
milliseconds for a district. A failed check does not stop the others.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
from msgspec import UNSET, Struct

from local_h5.build.payload import county_names, zip_codes
from local_h5.build.writer import dtype_name
from local_h5.contracts.records import Finding
from local_h5.contracts.results import AreaResult
from local_h5.inputs.area_columns import area_columns_of
from local_h5.inputs.geography.block_table import GEOID_COLUMNS
from local_h5.inputs.geography.codes import at_large, distinct, normalise_districts, written_districts
from local_h5.inputs.membership import ENTITIES, PERSON, Membership, reindex
from local_h5.prepared.clones import TABLE_FIELD
from local_h5.requests import CODE_WIDTH, WITHIN_STATE, AreaFilter
from local_h5.us import STATE_POSTAL, normalise_district
from local_h5.validation.structural.common_schema import ExpectedColumn, Places

_SUM_TOLERANCE = 1e-6
"""Relative; sums of the same float32 weights in float64."""

_FINITE_KEY, _POPULATION_KEY = "validation.require_finite", "validation.population.max_rel_error"
"""Configuration keys of the limits that can be set."""

_DISTRICT_CODES = 10_000
_STATE_NAMES = ("state_code", "state_code_str", "state_name")


class Expectations(Struct, frozen=True):
    """The facts that the checks compare a file with.

    Attributes:
        columns: the run's common schema.
        population: reference number of persons; None when there is none.
        max_population_error: largest relative difference from it.
        require_finite: whether NaN and infinities fail.
        membership: of the source. Without it, ids are only compared with each other.
        places: of each block, by the run's tables. Without them, a file's places are only compared with each other.
    """

    columns: Mapping[str, ExpectedColumn]
    population: float | None = None
    max_population_error: float = 0.05
    require_finite: bool = True
    membership: Membership | None = None
    places: Places | None = None


class _File:
    """Columns of a file. Values of the file's year are read once."""

    def __init__(self, path: Path, file: h5py.File, year: int) -> None:
        self.year = str(year)
        columns = area_columns_of(path, file)
        self.in_tables, self.periods = columns.in_tables, columns.periods
        self.type_of, self.read = columns.type_of, columns.read
        self._values: dict[str, np.ndarray] = {}

    def values(self, name: str) -> np.ndarray:
        """Values of the file's year (KeyError when it has none)."""
        if name not in self._values:
            self._values[name] = self.read(name, self.year)
        return self._values[name]


def check_structure(path: Path, result: AreaResult, expected: Expectations) -> tuple[Finding, ...]:
    """The findings about a file's structure; empty for a good file.

    Args:
        path: the H5.
        result: of its job. The file must agree with its counts.
        expected: see :class:`Expectations`.

    Raises:
        OSError, KeyError: the file cannot be read, or lacks ids, links, weights or geography. The validation has the
            status ``error`` then, which also blocks publishing.
    """
    with h5py.File(path, "r") as stream:
        file = _File(path, stream, result.period)
        return (
            *_columns(file, expected.columns),
            *_ids(file, result, expected.membership),
            *_links(file),
            *_weights(file, result),
            *_geography(file, result, expected.places),
            *_at_large(file, result),
            *_finite(file, expected),
            *_adults(result),
            *_population(file, result, expected),
        )


def _finding(check: str, message: str, count: int | np.integer = 1, key: str = "") -> Finding:
    return Finding(check, "structural", message, int(count), key)


def _columns(file: _File, expected: Mapping[str, ExpectedColumn]) -> Iterator[Finding]:
    missing = sorted(expected.keys() - file.periods.keys())
    if missing:
        yield _finding("columns", f"variables of the run that the file lacks: {', '.join(missing)}", len(missing))
    extra = sorted(file.periods.keys() - expected.keys())
    if extra:
        yield _finding("columns", f"variables that no other file has: {', '.join(extra)}", len(extra))
    rows = {entity: len(file.values(f"{entity}_id")) for entity in ENTITIES}
    for name, column in expected.items():
        periods = file.periods.get(name)
        if periods is None:
            continue
        wanted = (file.year,) if file.in_tables else column.periods
        if periods != wanted:
            yield _finding("columns", f"{name}: periods {', '.join(periods)}, expected {', '.join(wanted)}")
        for period in periods:
            stored, shape = file.type_of(name, period)
            dtype = dtype_name(stored)
            if dtype != column.dtype:
                yield _finding("columns", f"{name}/{period}: dtype {dtype}, expected {column.dtype}")
            if shape != (rows[column.entity],):
                text = f"{name}/{period}: shape {shape}, expected one value for each of {rows[column.entity]} rows"
                yield _finding("rows", f"{text} of {column.entity}")


def _ids(file: _File, result: AreaResult, membership: Membership | None) -> Iterator[Finding]:
    for entity in ENTITIES:
        ids = file.values(f"{entity}_id")
        if result.rows.get(entity) != len(ids):
            yield _finding("rows", f"{entity}: {len(ids)} rows, {result.rows.get(entity)} by the sidecar")
        kept = membership is not None and bool(membership.kept_ids)  # then they are compared with the source's
        wrong = 0 if kept else np.count_nonzero(ids < 1)
        if wrong:
            yield _finding("ids", f"{entity}_id: {wrong} ids are not above 0", wrong)
        twice = 0 if np.all(ids[1:] > ids[:-1]) else len(ids) - len(distinct(ids.copy()))
        if twice:
            yield _finding("ids", f"{entity}_id: {twice} rows repeat an id", twice)
    household, person = file.values("household_id"), file.values("person_id")
    if membership is None or len(person) != len(file.values("person_household_id")):
        return
    # Persons, their ids and units follow from the ids of the households alone.
    clone, row = membership.clones_of(household)
    strange = int(np.count_nonzero(row < 0))
    if strange:
        yield _finding("ids", f"household_id: {strange} ids that no file of the run has", strange)
        return
    expected = reindex(membership, row, clone, {PERSON})
    if not np.array_equal(person, expected.ids(PERSON)):
        strange = int(np.count_nonzero(~np.isin(person, expected.ids(PERSON))))
        text = f"person_id: not the {expected.n_rows(PERSON)} persons of the households, in their order"
        yield _finding("ids", f"{text}; {strange} are others", max(strange, 1))
        return
    for entity in ENTITIES:
        if entity != PERSON:
            wrong = np.count_nonzero(file.values(f"person_{entity}_id") != expected.links(entity))
            if wrong:
                yield _finding("links", f"person_{entity}_id: {wrong} persons in another {entity} than theirs", wrong)


def _links(file: _File) -> Iterator[Finding]:
    """Units without persons, in two households, or not in the order of household and id."""
    household = file.values("person_household_id").astype(np.int64)
    for entity in ENTITIES:
        ids, link = file.values(f"{entity}_id"), file.values("person_id" if entity == PERSON else f"person_{entity}_id")
        if len(link) != len(household):
            continue  # reported by the check of columns
        pairs = (household << 32) + link
        if not np.all(pairs[1:] >= pairs[:-1]):  # the test is quicker than sorting
            pairs = np.sort(pairs)
        unit = pairs[np.append(True, pairs[1:] != pairs[:-1])] & 0xFFFFFFFF
        if np.array_equal(unit, ids):
            continue
        findings = () if entity == PERSON else tuple(_misfits(entity, ids, link, unit))
        yield from findings or [_finding("ids", f"{entity}_id: rows are not in the order of household and id")]


def _misfits(entity: str, ids: np.ndarray, link: np.ndarray, unit: np.ndarray) -> Iterator[Finding]:
    dangling = np.count_nonzero(~np.isin(link, ids))
    if dangling:
        yield _finding("links", f"person_{entity}_id: {dangling} persons in no unit of the file", dangling)
    empty = np.count_nonzero(~np.isin(ids, link))
    if empty:
        yield _finding("links", f"{entity}: {empty} units without a person", empty)
    split = len(unit) - len(np.unique(unit))
    if split:
        yield _finding("links", f"{entity}: {split} units have persons of two households", split)


def _weights(file: _File, result: AreaResult) -> Iterator[Finding]:
    weight = file.values("household_weight").astype(np.float64)
    wrong = np.count_nonzero(~np.isfinite(weight) | (weight <= 0))
    if wrong:
        yield _finding("weights", f"household_weight: {wrong} rows are not positive and finite", wrong)
        return
    total = float(weight.sum())
    if abs(total - result.weights.households) > _SUM_TOLERANCE * total:
        yield _finding(
            "weights", f"household_weight: sum {total:,.1f}, {result.weights.households:,.1f} by the sidecar"
        )


def _geography(file: _File, result: AreaResult, places: Places | None) -> Iterator[Finding]:
    # Without the run's places, a file of a dataset with places of its own may have blocks or not.
    are_blocks = result.takeup is UNSET if places is None else places.blocks.are_blocks
    if are_blocks:
        yield from _of_blocks(file, places)
    else:
        yield from _as_far_as_known(file)
    for item in result.request.filters:
        outside = np.count_nonzero(~rows_where(item, file.values))
        if outside:
            text = f"{outside} households outside the area ({item.field} {item.op} {', '.join(item.values[:3])})"
            yield _finding("geography", text, outside)


def _as_far_as_known(file: _File) -> Iterator[Finding]:
    """Places of the dataset's own: every code that is known lies in the household's state, and is a code."""
    state = file.values("state_fips")
    for name, width in GEOID_COLUMNS.items():
        if name not in file.periods:
            continue
        codes = file.values(name)
        known = codes[codes != b""]
        text = known.view(np.uint8).reshape(len(known), -1)
        right = ((text >= ord("0")) & (text <= ord("9"))).all(axis=1) if text.size else np.ones(len(known), bool)
        if text.size and text.shape[1] == width:
            right &= _numbers(text[:, :2]) == state[codes != b""]
        wrong = np.count_nonzero(~right)
        if wrong:
            yield _finding("geography", f"{name}: {wrong} rows are no code of their state", wrong)
    if "congressional_district_geoid" in file.periods:
        district = file.values("congressional_district_geoid")
        differs = np.count_nonzero((district != 0) & (district // 100 != state))
        if differs:
            yield _finding("geography", f"district: {differs} rows in another state than state_fips says", differs)


def _of_blocks(file: _File, places: Places | None) -> Iterator[Finding]:
    block = file.values("block_geoid")
    digits = block.view(np.uint8).reshape(len(block), -1)
    malformed = np.count_nonzero(~((digits >= ord("0")) & (digits <= ord("9"))).all(axis=1)) if digits.size else 0
    if malformed or digits.shape[1] != 15:
        yield _finding("geography", f"block_geoid: {malformed} rows are not 15 digits", malformed)
        return
    for name, width in (("tract_geoid", 11), ("county_fips", 5)):
        differs = np.count_nonzero(_prefix(block, width) != file.values(name))
        if differs:
            yield _finding("geography", f"{name}: {differs} rows are not their block's", differs)
    number = _numbers(digits)
    state = number // 10**13
    district = file.values("congressional_district_geoid")
    for name, values in (("state_fips", file.values("state_fips")), ("district", district // 100)):
        differs = np.count_nonzero(values != state)
        if differs:
            yield _finding("geography", f"{name}: {differs} rows in another state than their block", differs)
    # 15 digits and a district's 4 fit into 64 bits; sorting numbers takes a tenth of sorting text, or of np.unique.
    pairs = np.sort(number * _DISTRICT_CODES + district)
    block_of = pairs // _DISTRICT_CODES
    torn = np.count_nonzero((pairs[1:] != pairs[:-1]) & (block_of[1:] == block_of[:-1]))
    if torn:
        yield _finding("geography", f"block_geoid: {torn} blocks in more than one district", torn)
    yield from _state_names(file, state)
    yield from _differing(file, "zip_code", zip_codes(number // 10**10), "of another county than their block's")
    if places is not None:
        yield from _of_the_tables(file, number, places)


def _at_large(file: _File, result: AreaResult) -> Iterator[Finding]:
    """District codes of at-large seats, against what the sidecar says of them."""
    stored, said = file.values("congressional_district_geoid"), result.at_large_code
    seats = normalise_districts(stored)
    if said is UNSET:
        wrong, words = np.count_nonzero(at_large(seats)), "at-large seats, and the sidecar has no at_large_code"
    elif said == "as given":
        return
    else:
        wrong = np.count_nonzero(stored != written_districts(seats, said))
        words = f"not as at_large_code of the sidecar says ({said})"
    if wrong:
        yield _finding("geography", f"congressional_district_geoid: {wrong} rows {words}", wrong)


def _state_names(file: _File, state: np.ndarray) -> Iterator[Finding]:
    """Columns that name another state. Our files have none of them."""
    stored = [name for name in _STATE_NAMES if name in file.periods]
    if stored:
        codes, rows = np.unique(state, return_inverse=True)
        names = np.array([STATE_POSTAL.get(int(code), "").encode() for code in codes])[rows]
        for name in stored:
            yield from _differing(file, name, names, "in another state than their block")


def _of_the_tables(file: _File, number: np.ndarray, places: Places) -> Iterator[Finding]:
    """Text fields and county names that differ from the run's tables."""
    blocks = places.blocks
    at = np.minimum(np.searchsorted(blocks.geoid, number), len(blocks) - 1)
    unknown = np.count_nonzero(blocks.geoid[at] != number)
    if unknown:
        yield _finding("geography", f"block_geoid: {unknown} rows in blocks that the run does not have", unknown)
        return
    rows = blocks.at(at)
    for name in rows.fields:
        yield from _differing(file, name, rows.text(name), "not what the tables say of their block")
    codes, names = county_names(places.snapshot, rows.county)
    yield from _differing(file, "county", names[codes], "not the name of their block's county")


def _differing(file: _File, name: str, expected: np.ndarray, said: str) -> Iterator[Finding]:
    periods = file.periods.get(name, ())
    if file.year not in periods:
        return  # said by the check of columns
    dtype, shape = file.type_of(name, file.year)
    if shape != expected.shape or dtype.kind != expected.dtype.kind:
        return  # said by the check of columns
    differs = np.count_nonzero(file.values(name) != expected)
    if differs:
        yield _finding("geography", f"{name}: {differs} rows {said}", differs)


def _numbers(digits: np.ndarray) -> np.ndarray:
    """Numbers, int64 (n,), from rows of decimal digits (text, uint8 (n, width))."""
    number = np.zeros(len(digits), dtype=np.int64)
    for place in range(digits.shape[1]):
        number *= 10
        number += digits[:, place]
        number -= ord("0")
    return number


def rows_where(item: AreaFilter, values: Callable[[str], np.ndarray]) -> np.ndarray:
    """Households that meet a filter, by the geography written in the file; bool (n_households,).

    Args:
        item: the filter.
        values: reads a household column by name.
    """
    if item.field == "district":
        wanted = [normalise_district(int(value)) for value in item.values]
        codes, place = np.unique(values("congressional_district_geoid"), return_inverse=True)
        inside = np.isin([normalise_district(int(code)) for code in codes], wanted)
        return inside[place]
    if item.field == "state":
        return np.isin(values("state_fips"), [int(value) for value in item.values])
    width = CODE_WIDTH.get(item.field)
    column = values(
        TABLE_FIELD[item.field]
        if item.field in TABLE_FIELD
        else next(name for name, digits in GEOID_COLUMNS.items() if digits == width)
    )
    if item.field not in WITHIN_STATE:
        return np.isin(column, np.array([value.encode() for value in item.values]))
    inside = np.zeros(len(column), dtype=bool)
    for state, code in item.of_states():
        of_code = column == code.encode()
        inside |= of_code if state is None else of_code & (values("state_fips") == state)
    return inside


def _prefix(text: np.ndarray, width: int) -> np.ndarray:
    """The first characters of fixed-width text, ``S{width}``."""
    rows = text.view(np.uint8).reshape(len(text), -1)
    return np.ascontiguousarray(rows[:, :width]).view(f"S{width}").ravel()


def _finite(file: _File, expected: Expectations) -> Iterator[Finding]:
    if not expected.require_finite:
        return
    for name, column in expected.columns.items():
        if not column.dtype.startswith("float") or name == "household_weight":
            continue
        for period in file.periods.get(name, ()):
            values = file.read(name, period)
            wrong = np.count_nonzero(~np.isfinite(values)) if values.dtype.kind == "f" else 0
            if wrong:
                yield _finding("finite", f"{name}/{period}: {wrong} values are NaN or infinite", wrong, _FINITE_KEY)


def _adults(result: AreaResult) -> Iterator[Finding]:
    count = result.checks.get("spm_units_without_adult", 0)
    if count:
        yield _finding("adults", f"{count} SPM units have nobody of 18 or more; the model's poverty fails", count)


def _population(file: _File, result: AreaResult, expected: Expectations) -> Iterator[Finding]:
    weight = file.values("household_weight").astype(np.float64)
    # Households are in the order of their ids, so sorted links count the persons of each.
    household, size = np.unique(file.values("person_household_id"), return_counts=True)
    if not np.array_equal(household, file.values("household_id")):
        return  # reported by the checks of ids and links
    persons = float((weight * size).sum())
    if not np.isfinite(persons):
        return  # reported by the check of weights
    if abs(persons - result.weights.persons) > _SUM_TOLERANCE * persons:
        yield _finding("population", f"{persons:,.1f} persons, {result.weights.persons:,.1f} by the sidecar")
    if expected.population is None:
        return
    error = persons / expected.population - 1
    if abs(error) > expected.max_population_error:
        yield _finding(
            "population",
            f"{persons:,.0f} persons, reference {expected.population:,.0f}: {error:+.1%}, "
            f"more than {expected.max_population_error:.1%} off",
            key=_POPULATION_KEY,
        )
