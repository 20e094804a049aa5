"""Population references from the ACS table S0101 (population by age), per state and congressional district."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local_h5.errors import InputError
from local_h5.files.atomic import write_text
from local_h5.files.text_table import read_table
from local_h5.us import STATE_POSTAL, district_name, normalise_district

STATE = "state"
DISTRICT = "district"

COLUMNS = ("area_type", "area_id", "code", "state_fips", "population", "under_18", "from_65")

_TOTAL, _UNDER_18, _FROM_65 = "S0101_C01_001E", "S0101_C01_022E", "S0101_C01_030E"
_ID_PREFIX = {STATE: "0400000US", DISTRICT: "5001900US"}


@dataclass(frozen=True, slots=True)
class Population:
    """Persons by area, one area type, ascending codes.

    Attributes:
        area_type: ``state`` or ``district``.
        code: state FIPS, or ``100 * state + number`` with number 1 for an at-large seat; int64 (n,).
        total: persons, int64 (n,).
        under_18: persons of 0-17 years, int64 (n,).
        from_65: persons of 65 years and more, int64 (n,).
    """

    area_type: str
    code: np.ndarray
    total: np.ndarray
    under_18: np.ndarray
    from_65: np.ndarray

    @property
    def state(self) -> np.ndarray:
        """State FIPS of each area, int64 (n,)."""
        return self.code if self.area_type == STATE else self.code // 100

    def area_ids(self) -> list[str]:
        """``NC`` or ``NC-01`` for each area."""
        name = STATE_POSTAL.__getitem__ if self.area_type == STATE else district_name
        return [name(int(code)) for code in self.code]


def read_acs(path: Path, area_type: str, columns: Sequence[str]) -> list[tuple[int, ...]]:
    """Code and counts of each area in a table of the Census Bureau's API: a JSON list of rows, the names first.

    Areas outside the 50 states and the District of Columbia are left out.

    Args:
        path: the table.
        area_type: ``state`` or ``district``; its areas alone are in the table.
        columns: of the counts.

    Returns:
        Rows by ascending code, which is that of :class:`Population`.

    Raises:
        InputError: not such a file, a column is missing, a number is none, an area occurs twice, or there is none.
    """
    try:
        header, *rows = json.loads(path.read_text(encoding="utf-8"))
        geography, *places = [header.index(name) for name in ("GEO_ID", *columns)]
        table = sorted((_code(row[geography], area_type), *(int(row[place]) for place in places)) for row in rows)
        table = [row for row in table if (row[0] if area_type == STATE else row[0] // 100) in STATE_POSTAL]
        if len({row[0] for row in table}) < max(len(table), 1):
            raise ValueError("an area twice" if table else "no area")
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"{path}: {', '.join(columns[:2])}: expected an ACS table by {area_type}, as the Census Bureau's API gives "
            f"it, found {error}. Fetch it again with scripts/fetch_public_file.py."
        ) from error
    return table


def read_s0101(path: Path, area_type: str) -> Population:
    """Persons by area and age, from one S0101 table.

    Raises:
        InputError: as :func:`read_acs`, or a population that is not positive.
    """
    return _population(path, area_type, read_acs(path, area_type, (_TOTAL, _UNDER_18, _FROM_65)))


def write_population(path: Path, tables: tuple[Population, ...]) -> None:
    """Write all ``tables`` as one CSV with the columns :data:`COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in tables:
        columns = (table.code, table.state, table.total, table.under_18, table.from_65)
        for area_id, *numbers in zip(table.area_ids(), *(c.tolist() for c in columns), strict=True):
            writer.writerow((table.area_type, area_id, *numbers))
    write_text(path, text.getvalue())


def read_population(path: Path, area_type: str) -> Population:
    """Read the rows of one area type from a CSV that :func:`write_population` wrote.

    Raises:
        InputError: missing, other columns, a cell that is no number, a code twice, or no row of that type.
    """
    try:
        _, rows = read_table(path)
        table = sorted(
            (int(row["code"]), int(row["population"]), int(row["under_18"]), int(row["from_65"]))
            for row in rows
            if row["area_type"] == area_type
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: expected a CSV with the columns {', '.join(COLUMNS)}, found {error}") from error
    return _population(path, area_type, table)


def _code(geo_id: str, area_type: str) -> int:
    prefix = _ID_PREFIX[area_type]
    if not geo_id.startswith(prefix):
        raise ValueError(f"GEO_ID {geo_id}, not {prefix}...")
    code = int(geo_id.removeprefix(prefix))
    return code if area_type == STATE else normalise_district(code)


def _population(path: Path, area_type: str, table: Sequence[tuple[int, ...]]) -> Population:
    rows = np.array(table, dtype=np.int64).reshape(-1, 4)
    if not len(rows) or (np.diff(rows[:, 0]) == 0).any() or (rows[:, 1] <= 0).any():
        raise InputError(
            f"{path}: {area_type}: expected one row with a positive population per area, found {len(rows)} rows, "
            f"{len(np.unique(rows[:, 0]))} areas, {int((rows[:, 1] <= 0).sum())} empty"
        )
    return Population(area_type, *(np.ascontiguousarray(rows[:, i]) for i in range(4)))
