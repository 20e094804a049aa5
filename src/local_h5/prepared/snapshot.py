"""The source snapshot: everything that later steps need from the source and the model, as plain arrays.

Made once by :mod:`local_h5.prepared.model`; read here with numpy only. Columns of one entity and dtype are the rows of
one matrix; text and enums are integer codes with one vocabulary per variable.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from local_h5.contracts.results import Excluded, PlaceBound
from local_h5.files.arrays import ArrayFile, write_array_file
from local_h5.inputs.membership import PERSON, CompressedRows, Membership

KIND = "source_snapshot"
VERSION = 2


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One variable in one period.

    Attributes:
        variable: the model's name.
        entity: whose rows it has.
        period: ``2024``, ``2024-01`` or ``ETERNITY``.
        matrix: name of the matrix that holds its values.
        row: the row there; equal columns (the months of a yearly value) share one.
        coded: values are codes into ``vocabularies[variable]``.
        names: entity whose ids the values are; stored as 1 + source row, 0 for none. None for any other column.
    """

    variable: str
    entity: str
    period: str
    matrix: str
    row: int
    coded: bool
    names: str | None = None


@dataclass(frozen=True, slots=True)
class IncomeLimits:
    """HUD income limits by county and SPM-unit size.

    ``county`` int32 (n_counties,) FIPS ascending; ``limit`` float64 (n_counties, n_sizes), the highest of the three
    limits in dollars a year, 0 where there is none; column ``j`` is for ``j + 1`` persons, the last for more.
    """

    county: np.ndarray
    limit: np.ndarray


@dataclass(frozen=True, slots=True)
class StateValues:
    """An input that every person of a state has alike, written by the state that a clone lives in.

    Attributes:
        variable: the model's name.
        by_fips: float32 (100,), the value at each state FIPS code; NaN where there is no state.
    """

    variable: str
    by_fips: np.ndarray


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """Columns, membership and model values of one source.

    Attributes:
        year: of the source.
        n_rows: entity → source rows.
        membership: who belongs to whom.
        columns: sorted by variable, then period.
        matrices: name → (n_columns, n_rows of the entity).
        vocabularies: variable → fixed-width bytes; the width is the same for every file of a run.
        excluded: what is left out, and why.
        reflecting: what is kept and may reflect the source's place, and why.
        household_id: int64 (n_households,), the source's own ids; the take-up draws are keyed by them.
        values: model values and reports for take-up, by variable, each by source row of its entity.
        county_fips: int32 ascending; county_name: the model's County member of each, fixed-width bytes.
        income_limits: for housing eligibility.
        versions: of the model packages that made the snapshot.
        notes: of the source; every area file carries them.
        source_sha256: digest of the source file.
        source_bytes: its size.
        state_values: inputs of persons that depend on nothing but the state.
    """

    year: int
    n_rows: Mapping[str, int]
    membership: Membership
    columns: tuple[SourceColumn, ...]
    matrices: Mapping[str, np.ndarray]
    vocabularies: Mapping[str, np.ndarray]
    excluded: tuple[Excluded, ...]
    reflecting: tuple[PlaceBound, ...]
    household_id: np.ndarray
    values: Mapping[str, np.ndarray]
    county_fips: np.ndarray
    county_name: np.ndarray
    income_limits: IncomeLimits
    versions: Mapping[str, str]
    notes: Mapping[str, str]
    source_sha256: str
    source_bytes: int
    state_values: tuple[StateValues, ...] = ()

    def write(self, path: Path) -> None:
        """Write the snapshot as one array file."""
        arrays: dict[str, np.ndarray] = {
            "household_id": self.household_id,
            "county/fips": self.county_fips,
            "county/name": self.county_name,
            "income_limits/county": self.income_limits.county,
            "income_limits/limit": self.income_limits.limit,
        }
        arrays |= {f"matrix/{name}": matrix for name, matrix in self.matrices.items()}
        arrays |= {f"vocabulary/{name}": words for name, words in self.vocabularies.items()}
        arrays |= {f"value/{name}": values for name, values in self.values.items()}
        arrays |= {f"state_value/{item.variable}": item.by_fips for item in self.state_values}
        for entity, rows in self.membership.members.items():
            arrays[f"members/{entity}/indptr"] = rows.indptr
            arrays[f"members/{entity}/rows"] = rows.rows
        for entity, rows_of in self.membership.person_unit.items():
            arrays[f"person_unit/{entity}"] = rows_of
        metadata: dict[str, Any] = {
            "year": self.year,
            "n_rows": dict(self.n_rows),
            "columns": [list(asdict(column).values()) for column in self.columns],
            "excluded": [asdict(item) for item in self.excluded],
            "reflecting": [asdict(item) for item in self.reflecting],
            "versions": dict(self.versions),
            "notes": dict(self.notes),
            "source_sha256": self.source_sha256,
            "source_bytes": self.source_bytes,
        }
        write_array_file(path, kind=KIND, version=VERSION, arrays=arrays, metadata=metadata)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Memory-map a snapshot.

        Raises:
            PreparedError: missing, damaged or of another version.
        """
        file = ArrayFile(path, kind=KIND, version=VERSION)
        meta = file.metadata
        groups: dict[str, dict[str, np.ndarray]] = {
            "matrix": {}, "vocabulary": {}, "value": {}, "person_unit": {}, "state_value": {},
        }  # fmt: skip
        for name in file:
            group, _, rest = name.partition("/")
            if group in groups:
                groups[group][rest] = file[name]
        entities = [PERSON, *groups["person_unit"]]
        members = {
            entity: CompressedRows(file[f"members/{entity}/indptr"], file[f"members/{entity}/rows"])
            for entity in entities
        }
        return cls(
            meta["year"],
            meta["n_rows"],
            Membership(members, groups["person_unit"]),
            tuple(SourceColumn(*column) for column in meta["columns"]),
            groups["matrix"],
            groups["vocabulary"],
            tuple(Excluded(**item) for item in meta["excluded"]),
            tuple(PlaceBound(**item) for item in meta["reflecting"]),
            file["household_id"],
            groups["value"],
            file["county/fips"],
            file["county/name"],
            IncomeLimits(file["income_limits/county"], file["income_limits/limit"]),
            meta["versions"],
            meta["notes"],
            meta["source_sha256"],
            meta["source_bytes"],
            tuple(StateValues(name, values) for name, values in sorted(groups["state_value"].items())),
        )
