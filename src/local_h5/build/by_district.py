"""The rows of a built file in the order of states and districts, so that the rows of a district follow each other."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5 import us
from local_h5.contracts.results import AreaResult
from local_h5.errors import ResultError
from local_h5.inputs.area_columns import area_columns_of
from local_h5.inputs.geography.codes import is_state, normalise_districts
from local_h5.inputs.membership import HOUSEHOLD, PERSON, rows_with

STATE, DISTRICT = "state_fips", "congressional_district_geoid"


class DistrictRows(Struct, frozen=True):
    """The rows of one district.

    Attributes:
        state: postal code.
        district: name, such as ``NC-01``; None for rows of the state whose district is not known.
        rows: entity → first row, and the one behind the last.
    """

    state: str
    district: str | None
    rows: Mapping[str, tuple[int, int]]


class ByDistrict:
    """A file by district. Within a district, rows keep the order of the file, which is that of the district's own file.

    Args:
        file: an area's H5, open; it is read when columns are asked for.
        result: its sidecar, which has the entity of each variable.
        where: the file, for messages.

    Raises:
        ResultError: the file has no states or districts, or a district that is not of its state.
    """

    def __init__(self, file: h5py.File, result: AreaResult, where: Path) -> None:
        self._columns, self._result, self._year = area_columns_of(where, file), result, str(result.period)
        names = {column.variable for column in result.columns}
        for name in (STATE, DISTRICT):
            if name not in names:
                raise ResultError(f"{where}: expected the column {name}, by which rows are sorted, found none")
        households = self._values(f"{HOUSEHOLD}_id")
        state, district = self._values(STATE).astype(np.int64), normalise_districts(self._values(DISTRICT))
        known = district != 0
        wrong = ~is_state(state) | (known & (district // 100 != state))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ResultError(
                f"{where}: {DISTRICT}: household {households[row]}: expected a district of its state, found "
                f"{district[row]} in state {state[row]}. Build the file again."
            )
        codes = np.where(known, district, 100 * state)
        self._codes = {HOUSEHOLD: codes}
        self._codes[PERSON] = _beside(where, households, codes, self._values(f"{PERSON}_{HOUSEHOLD}_id"))
        for entity in result.rows:
            if entity not in self._codes:
                links = self._values(f"{PERSON}_{entity}_id")
                self._codes[entity] = _beside(where, links, self._codes[PERSON], self._values(f"{entity}_id"))
        self._districts = np.unique(codes)

    def districts(self) -> list[DistrictRows]:
        """The districts that the file has, in order."""
        ends = {}
        for entity, codes in self._codes.items():
            ordered = np.sort(codes)
            ends[entity] = [np.searchsorted(ordered, self._districts, side).tolist() for side in ("left", "right")]
        return [
            DistrictRows(
                us.STATE_POSTAL[code // 100],
                us.district_name(code) if code % 100 else None,
                {entity: (first[number], end[number]) for entity, (first, end) in ends.items()},
            )
            for number, code in enumerate(self._districts.tolist())
        ]

    def columns(self, entity: str) -> Iterator[tuple[str, NDArray]]:
        """Name and values of each column of an entity; a month of a variable is named ``snap@2024-01``."""
        order = np.argsort(self._codes[entity], kind="stable")
        for column in self._result.columns:
            if column.entity == entity:
                for period in column.periods:
                    plain = period == self._year or period.upper() == "ETERNITY"
                    name = column.variable if plain else f"{column.variable}@{period}"
                    yield name, self._columns.read(column.variable, period)[order]

    def _values(self, name: str) -> NDArray:
        return self._columns.read(name, self._year)


def _beside(where: Path, ids: NDArray, codes: NDArray, wanted: NDArray) -> NDArray:
    """The code that stands beside each wanted id, the first where it stands several times. Raises ResultError."""
    rows = rows_with(ids, wanted)
    if (rows < 0).any():
        raise ResultError(
            f"{where}: expected a link for each id, found none for {wanted[rows < 0][0]}. Build it again."
        )
    return codes[rows]
