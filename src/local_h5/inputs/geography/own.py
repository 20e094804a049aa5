"""Places and weights that a source has itself: each household is in one place, as far as the source knows it.

A household's place may be known down to its block, or no further than its PUMA or its state, row by row. Nothing is
added: a level that a row does not have stays empty, and files have the place columns that the source has.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UNSET, Struct
from numpy.typing import NDArray

from local_h5 import us
from local_h5.areas import District
from local_h5.errors import InputError, SourceError
from local_h5.inputs.geography import codes
from local_h5.inputs.geography.block_table import BLOCK, GEOID_COLUMNS, STATE, TEXT_FIELDS, BlockTable, TextField
from local_h5.inputs.geography.canonical import spelling_of
from local_h5.inputs.membership import HOUSEHOLD
from local_h5.inputs.source import SourceDataset
from local_h5.inputs.stored import Stored
from local_h5.inputs.weights import check_weights

WEIGHT = "household_weight"
DISTRICT = "congressional_district_geoid"
STATE_COLUMN = "state_fips"
COLUMNS = frozenset({*GEOID_COLUMNS, STATE_COLUMN, DISTRICT, *TEXT_FIELDS})
"""Place columns of a source that are read here and written from the block table."""

_KINDS = {
    "block_geoid": codes.BLOCK,
    "tract_geoid": codes.CodeKind("census tract", (10, 11), 10**9),
    "county_fips": codes.COUNTY,
    STATE_COLUMN: codes.STATE,
    DISTRICT: codes.DISTRICT,
}
_TEXT_WIDTH = {"puma": 5, "place_fips": 5, "zcta": 5, "cbsa_code": 5}
"""Digits of text fields whose codes are all digits; numbers get their leading zeros back."""

_VINTAGE = "congressional_district_vintage"
_CONGRESS = re.compile(r"(?<![0-9A-Za-z])(1[0-9]{2})(?:st|nd|rd|th)")
"""An attribute with this in its name says of which Congress the districts are: ``119th_congress``."""

_EXAMPLES = 3


class OwnPlaces(Struct, frozen=True):
    """Where each household of a source lives, and how much it counts.

    Attributes:
        weight: float64 (n_households,).
        district: int32 (n_households,), normalised; ``100 * state`` where it is not known.
        block: int32 (n_households,), row of the block table.
        blocks: the block table.
        empty: level of places that the source has → number of households of a positive weight where it is empty.
        spelling: normalised district → the code by which the source wrote it, for seats that it wrote in one other way.
    """

    weight: NDArray[np.float64]
    district: NDArray[np.int32]
    block: NDArray[np.int32]
    blocks: BlockTable
    empty: Mapping[str, int]
    spelling: Mapping[int, int]


def read_own_places(
    source: SourceDataset, listed: Sequence[District] = (), districts_file: Path | None = None
) -> OwnPlaces:
    """Read the place columns and the weight of a source's households.

    Args:
        source: checked.
        listed: the district table of a run, whose districts the source must have, no more and no fewer.
        districts_file: its file, for messages; None for no table, when any district will do.

    Raises:
        InputError: no weight, no place, a code that is none, a state that is not known, codes of one row that
            contradict each other, weights that are not finite and positive or zero, districts of another Congress.
    """
    path, present = source.path, [name for name in (*_KINDS, *TEXT_FIELDS) if name in source.periods]
    if WEIGHT not in source.periods or not {STATE_COLUMN, "county_fips", DISTRICT, "block_geoid"} & set(present):
        raise InputError(
            f"{path}: {WEIGHT} and state_fips: expected a weight and places of every household, because no weights and "
            f"no geography are configured, found {'no place' if WEIGHT in source.periods else f'no {WEIGHT}'}. Set "
            "inputs.weights and inputs.geography, or give a dataset with both."
        )
    n_households = len(source.ids[HOUSEHOLD])
    columns = source.stored(WEIGHT, *present)
    for name, column in columns.items():
        if len(column.values) != n_households or column.entity not in (None, HOUSEHOLD):
            table = "" if column.entity is None else f" in the table {column.entity}"
            raise SourceError(
                f"{path}: {name}: expected {n_households:,} values, one for each household, found "
                f"{len(column.values):,}{table}. Store places and weights for households."
            )
    weight = check_weights(columns[WEIGHT].values, f"{path}: {WEIGHT}")
    parsed = {
        name: codes.parse_codes([_plain(path, name, columns[name])], n_households, kind, str(path), name).astype(
            np.int64
        )
        for name, kind in _KINDS.items()
        if name in columns
    }
    given = parsed.get(DISTRICT, np.zeros(n_households, np.int64))
    state = _states(path, parsed, n_households)
    geoid, digits = _geoids(path, parsed, state)
    if districts_file is not None:
        _check_vintage(path, source.notes, given, listed, districts_file)
    normalised = codes.normalise_districts(given)
    district = np.where(given == 0, state * 100, normalised).astype(np.int32)
    texts = {name: _texts(path, name, columns[name]) for name in TEXT_FIELDS if name in columns}
    blocks, rows = _distinct(
        geoid, digits, texts, tuple(name for name in _KINDS if name in columns or name == STATE_COLUMN)
    )
    empty = {"district": given == 0} if DISTRICT in parsed else {}
    empty |= {name: digits < width for name, width in GEOID_COLUMNS.items() if name in parsed}
    empty |= {name: blocks.fields[name].codes[rows] == 0 for name in texts}
    counts = {name: int(np.count_nonzero(absent & (weight > 0))) for name, absent in empty.items()}
    return OwnPlaces(weight, district, rows, blocks, counts, spelling_of(given, normalised))


def _plain(path: Path, name: str, column: Stored) -> NDArray[Any]:
    """Codes as text or integers, empty where there is none. Missing values make numbers floats, with NaN for none."""
    if column.form == "text":
        return column.values if column.missing is None else np.where(column.missing, "", column.values)
    values = column.values
    if column.form != "number":
        raise InputError(f"{path}: {name}: expected codes as text or numbers, found {column.form}. Store the codes.")
    if values.dtype.kind != "f":
        return values
    none = np.isnan(values)
    broken = np.flatnonzero(~none & (~np.isfinite(values) | (values != np.trunc(values)) | (np.abs(values) >= 2**53)))
    if broken.size:
        raise InputError(
            f"{path}: {name}: expected codes, found {broken.size:,} of {values.size:,} rows with something else, such "
            f"as {values[broken[0]]:g} in row {broken[0]}. Store the codes as text or whole numbers."
        )
    return np.where(none, 0, values).astype(np.int64)


def _texts(path: Path, name: str, column: Stored) -> NDArray[np.bytes_]:
    plain = _plain(path, name, column)
    width = _TEXT_WIDTH.get(name, 0)
    if plain.dtype.kind in "iu":
        if np.any((plain < 0) | (plain >= 10 ** (width or 9))):
            raise InputError(
                f"{path}: {name}: expected codes of {width or 9} digits, found {plain.min()} to {plain.max()}. Store "
                "the codes as text."
            )
        return np.array([str(code).zfill(width) if code else "" for code in plain.tolist()], dtype=np.bytes_)
    try:
        return np.char.encode(plain, "ascii")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: {name}: expected codes of ASCII characters, found {error.object!r}. Correct the column."
        ) from error


def _states(path: Path, parsed: Mapping[str, NDArray[np.int64]], n_households: int) -> NDArray[np.int64]:
    """The state of every household; all codes of a row must lie in it."""
    state = parsed.get(STATE_COLUMN, np.zeros(n_households, np.int64)).copy()
    for name, values in parsed.items():
        of_code = values // _KINDS[name].below_state
        _agree(path, name, (values != 0) & (state != 0) & (of_code != state), values, "its state", state)
        np.copyto(state, of_code, where=state == 0)
    unknown = np.flatnonzero(state == 0)
    if unknown.size:
        raise InputError(
            f"{path}: {STATE_COLUMN}: expected the state of every household, found {unknown.size:,} of "
            f"{n_households:,} without, first in row {unknown[0]}. Fill the column, or drop the rows."
        )
    return state


def _geoids(
    path: Path, parsed: Mapping[str, NDArray[np.int64]], state: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """GEOID of the finest unit known, padded with zeros, and its number of known digits."""
    geoid, digits = state * 10**13, np.full(len(state), STATE, np.uint8)
    for name, width in sorted(GEOID_COLUMNS.items(), key=lambda item: item[1]):
        if name not in parsed:
            continue
        values, unit = parsed[name], 10 ** (BLOCK - width)
        known = values != 0
        coarser = 10 ** (BLOCK - digits.astype(np.int64))
        wrong = known & (values * unit // coarser != geoid // coarser)
        _agree(path, name, wrong, values, "the county or tract of the row", geoid)
        np.copyto(geoid, values * unit, where=known)
        np.copyto(digits, np.uint8(width), where=known)
    return geoid, digits


def _agree(
    path: Path, name: str, wrong: NDArray[np.bool_], values: NDArray[np.int64], unit: str, other: NDArray[np.int64]
) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        examples = ", ".join(f"{values[row]} with {other[row]} in row {row}" for row in rows[:_EXAMPLES])
        raise InputError(
            f"{path}: {name}: expected codes inside {unit}, found {rows.size:,} of {values.size:,} rows that "
            f"contradict it: {examples}. Correct the place columns; they belong to one household."
        )


def _check_vintage(
    path: Path, notes: Mapping[str, str], given: NDArray[np.int64], listed: Sequence[District], districts_file: Path
) -> None:
    """Refuse districts of another Congress than the list's, counting rows."""
    seats: dict[int, int] = {}
    for item in listed:
        seats[item.code // 100] = seats.get(item.code // 100, 0) + 1
    known = {item.code: item.name for item in listed}
    found, counts = np.unique(given[given != 0], return_counts=True)
    whole = codes.normalise_districts(found)
    at_large = np.array([code % 100 in us.AT_LARGE_NUMBERS and seats.get(code // 100, 1) > 1 for code in found], bool)
    extra = np.array([code not in known for code in whole.tolist()], bool) | at_large
    have = set(whole[~extra].tolist())
    missing = [name for code, name in known.items() if code not in have]
    remedy = f"Set areas.districts to the table of the dataset's Congress, or give a dataset of {districts_file}"
    if extra.any():
        shown = ", ".join(str(code) for code in found[extra][:5].tolist())
        also = f"; {len(missing)} listed ones are missing ({', '.join(missing[:5])})" if missing else ""
        raise InputError(
            f"{path}: {DISTRICT}: expected the {len(known)} districts of {districts_file}, found "
            f"{int(counts[extra].sum()):,} of {given.size:,} rows in {int(extra.sum())} others ({shown}"
            f"{' …' if extra.sum() > 5 else ''}){also}. {remedy}."
        )
    if missing:
        raise InputError(
            f"{path}: {DISTRICT}: expected rows in all {len(known)} districts of {districts_file}, found none in "
            f"{len(missing)} ({', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}) among "
            f"{int(counts.sum()):,} rows with a district. {remedy}."
        )
    wanted = listed[0].congress if listed else UNSET
    for name, text in notes.items():
        said = _CONGRESS.search(text) if _VINTAGE in name else None
        if wanted is not UNSET and said is not None and int(said[1]) != wanted:
            raise InputError(
                f"{path}: {name}: expected districts of the {wanted}th Congress, as {districts_file} has, found "
                f"{text}, which concerns {int(counts.sum()):,} of {given.size:,} rows. {remedy}."
            )


def _distinct(
    geoid: NDArray[np.int64],
    digits: NDArray[np.uint8],
    texts: Mapping[str, NDArray[np.bytes_]],
    columns: tuple[str, ...],
) -> tuple[BlockTable, NDArray[np.int32]]:
    """The distinct places, and the place of each household."""
    values, keys = {}, []
    for name, text in texts.items():
        words, code = np.unique(np.append(text, b""), return_inverse=True)
        values[name] = words
        keys.append(code[:-1].astype(np.int64))
    keys += [digits.astype(np.int64), geoid]
    order = np.lexsort(keys)  # the last key is the first to sort by
    sorted_keys = [key[order] for key in keys]
    first = np.ones(len(geoid), bool)
    first[1:] = np.any([key[1:] != key[:-1] for key in sorted_keys], axis=0)
    rows = np.empty(len(geoid), np.int32)
    rows[order] = np.cumsum(first) - 1
    fields = {
        name: TextField(key[first].astype(np.int32), values[name])
        for name, key in zip(texts, sorted_keys, strict=False)
    }
    table = BlockTable(
        sorted_keys[-1][first],
        np.zeros(int(first.sum()), np.int32),
        np.ones(int(first.sum()), bool),
        fields,
        sorted_keys[-2][first].astype(np.uint8),
        columns,
    )
    return table, rows
