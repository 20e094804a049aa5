"""The columns of an area file, with entity and period. Values are computed when they are written."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np
from msgspec import Struct

from local_h5 import us
from local_h5.inputs.chunks import chunks
from local_h5.inputs.geography.block_table import BLOCK, GEOID_COLUMNS, BlockRows
from local_h5.inputs.geography.codes import written_districts
from local_h5.inputs.membership import HOUSEHOLD, PERSON, Reindexed
from local_h5.prepared.clones import CloneSelection
from local_h5.prepared.snapshot import SourceColumn, SourceSnapshot

UNKNOWN_COUNTY = b"UNKNOWN"
_COUNTY_CODES = 100_000
"""Codes of five digits."""


class PayloadColumn(Struct, frozen=True):
    """One dataset ``variable/period`` of an area file.

    ``values()`` has a row per unit of ``entity``, in file order. It may reuse the memory of the previous column's
    values.
    """

    variable: str
    period: str
    entity: str
    values: Callable[[], np.ndarray]


def area_columns(
    snapshot: SourceSnapshot,
    blocks: BlockRows,
    selection: CloneSelection,
    reindexed: Reindexed,
    takeup: Mapping[str, tuple[str, np.ndarray]],
    district_codes: us.AtLargeCode | Mapping[int, int],
    yearly: bool = False,
) -> Iterator[PayloadColumn]:
    """All columns of an area file, sorted by (variable, period).

    Args:
        snapshot: of the source.
        blocks: the block table at the selection's blocks.
        selection: the area's household clones.
        reindexed: their rows and ids.
        takeup: programme variable → (entity, bool by row of the file).
        district_codes: how districts are written (:func:`local_h5.inputs.geography.codes.written_districts`).
        yearly: one column for each variable, of the year.

    Raises:
        InputError: ``yearly``, and a variable has several values in the year.
    """
    year = str(snapshot.year)
    written = {
        column.variable: column
        for column in (
            *_structure(reindexed, year),
            PayloadColumn("household_weight", year, HOUSEHOLD, lambda: selection.weight.astype(np.float32)),
            *_geography(snapshot, blocks, selection, year, district_codes),
            *_by_state(snapshot, blocks, reindexed, year),
            *(PayloadColumn(name, year, entity, partial(_given, values)) for name, (entity, values) in takeup.items()),
        )
    }
    columns = list(written.values())
    source = snapshot.of_the_year() if yearly else snapshot.columns
    columns += [column for column in _gathered(snapshot, source, reindexed) if column.variable not in written]
    return iter(sorted(columns, key=lambda column: (column.variable, column.period)))


def _given(values: np.ndarray) -> np.ndarray:
    return values


def _structure(reindexed: Reindexed, year: str) -> Iterator[PayloadColumn]:
    for entity in reindexed.rows:
        yield PayloadColumn(f"{entity}_id", year, entity, partial(reindexed.ids, entity))
        if entity != PERSON:
            yield PayloadColumn(f"person_{entity}_id", year, PERSON, partial(reindexed.links, entity))


def _gathered(
    snapshot: SourceSnapshot, columns: Iterable[SourceColumn], reindexed: Reindexed
) -> Iterator[PayloadColumn]:
    gather = _Gather(snapshot, reindexed)
    for column in columns:
        yield PayloadColumn(column.variable, column.period, column.entity, partial(gather, column))


class _Gather:
    """Source columns at an area's rows, all in the same memory, because fresh memory costs more than the gather."""

    def __init__(self, snapshot: SourceSnapshot, reindexed: Reindexed) -> None:
        self._snapshot = snapshot
        self._reindexed = reindexed
        # In numpy's own index type; else numpy converts them for every column.
        self._rows = {entity: rows.source_row.astype(np.intp) for entity, rows in reindexed.rows.items()}
        self._memory = np.empty(0, np.uint8)
        self._holds: tuple[str, int] | None = None

    def __call__(self, column: SourceColumn) -> np.ndarray:
        values, rows = self._snapshot.matrices[column.matrix][column.row], self._rows[column.entity]
        if column.coded:
            # Texts of the fewer: of the source, or of the area when the source is a whole nation.
            names = self._snapshot.vocabularies[column.variable]
            if len(values) > len(rows):
                return names[values[rows]]
            values = names[values]
        size = len(rows) * values.dtype.itemsize
        if size > len(self._memory):
            self._memory, self._holds = np.empty(size, np.uint8), None
        gathered = self._memory[:size].view(values.dtype)
        # The twelve months of a yearly value share a row of the source and follow each other.
        if self._holds != (column.matrix, column.row):
            np.take(values, rows, out=gathered, mode="clip")  # the other modes go through a copy
            self._holds = column.matrix, column.row
        return gathered if column.names is None else self._named(column.names, column.entity, gathered)

    def _named(self, target: str, entity: str, named: np.ndarray) -> np.ndarray:
        """Ids of the units in ``named`` (1 + source row, 0 for none), in the household clone of each row."""
        ids = self._reindexed.named(target, self._reindexed.rows[entity].clone_position, named - 1)
        return np.where(named > 0, ids, 0).astype(np.int32)


def _geography(
    snapshot: SourceSnapshot,
    blocks: BlockRows,
    selection: CloneSelection,
    year: str,
    district_codes: us.AtLargeCode | Mapping[int, int],
) -> Iterator[PayloadColumn]:
    def household(name: str, values: Callable[[], np.ndarray]) -> PayloadColumn:
        return PayloadColumn(name, year, HOUSEHOLD, values)

    def county() -> np.ndarray:
        codes, names = county_names(snapshot, blocks.county)
        return names[codes]

    def geoid(width: int) -> np.ndarray:
        text = digits(blocks.geoid // 10 ** (BLOCK - width), width)
        if blocks.known_digits is not None:
            text[~blocks.knows(width)] = b""
        return text

    others: dict[str, Callable[[], np.ndarray]] = {
        "state_fips": lambda: (blocks.geoid // 10**13).astype(np.int32),
        "county": county,
        "congressional_district_geoid": lambda: written_districts(selection.district, district_codes),
        "zip_code": lambda: zip_codes(blocks.county),
    }
    for name in blocks.columns:
        yield household(name, partial(geoid, GEOID_COLUMNS[name]) if name in GEOID_COLUMNS else others[name])
    for name in blocks.fields:
        yield household(name, partial(blocks.text, name))


def _by_state(snapshot: SourceSnapshot, blocks: BlockRows, reindexed: Reindexed, year: str) -> Iterator[PayloadColumn]:
    for item in snapshot.state_values:

        def values(by_fips: np.ndarray = item.by_fips) -> np.ndarray:
            return by_fips[blocks.geoid // 10**13][reindexed.rows[PERSON].clone_position]

        yield PayloadColumn(item.variable, year, PERSON, values)


def county_names(snapshot: SourceSnapshot, county: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's County member of each county FIPS, as codes and names.

    Args:
        snapshot: knows the model's counties.
        county: int (n,), FIPS codes.

    Returns:
        (n,) codes, and names in fixed-width bytes; ``UNKNOWN`` where the model has none.
    """
    last = len(snapshot.county_fips)
    place = np.full(_COUNTY_CODES, last, dtype=np.int16)
    place[snapshot.county_fips] = np.arange(last)
    names = np.append(snapshot.county_name, UNKNOWN_COUNTY).astype(snapshot.county_name.dtype)
    return place[county], names


def zip_codes(county: np.ndarray) -> np.ndarray:
    """A ZIP code for each county FIPS: that of the county where the model needs one, else zeros."""
    codes = np.full(len(county), us.ZIP_CODE_ELSEWHERE, dtype="S5")
    for fips, code in us.ZIP_CODE_OF_COUNTY.items():
        codes[county == int(fips)] = code
    return codes


def digits(values: np.ndarray, width: int) -> np.ndarray:
    """Non-negative integers as zero-padded decimal text, ``S{width}``."""
    text = np.empty((len(values), width), dtype=np.uint8)
    for part in chunks(len(values)):
        rest = values[part].astype(np.int64)
        for place in range(width - 1, -1, -1):
            tenth = rest // 10  # faster than divmod, which numpy does not vectorise
            rest -= tenth * 10
            rest += ord("0")
            text[part, place] = rest
            rest = tenth
    return text.view(f"S{width}").ravel()
