"""The prepared take-up table as one file of arrays that every area job maps into memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from local_h5.files.arrays import ArrayFile, write_array_file
from local_h5.takeup.anchors import AdjustedRates
from local_h5.takeup.eligibility import PackedEligibility
from local_h5.takeup.rates import StateRates
from local_h5.takeup.table import ProgrammeTable, Takeup

KIND: Final = "takeup"
VERSION: Final = 1


def write_takeup(path: Path, takeup: Takeup) -> None:
    """Write the table under ``path`` in one step; equal tables give equal bytes.

    Raises:
        WriteError: the file cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {}
    programmes = []
    for table in takeup.programmes:
        entry, own = _entry(table)
        programmes.append(entry)
        arrays |= {f"{table.variable}/{name}": array for name, array in own.items()}
    write_array_file(
        path,
        kind=KIND,
        version=VERSION,
        arrays=arrays,
        metadata={
            "year": takeup.year,
            "reported": takeup.reported,
            "scope": takeup.scope,
            "programmes": programmes,
        },
    )


def read_takeup(path: Path) -> Takeup:
    """Open a table that :func:`write_takeup` wrote; its arrays are memory-mapped and read-only.

    Raises:
        PreparedError: the file is missing, damaged, or of another kind or version.
    """
    file = ArrayFile(path, kind=KIND, version=VERSION)
    metadata = file.metadata
    return Takeup(
        year=metadata["year"],
        reported=metadata["reported"],
        scope=metadata["scope"],
        programmes=tuple(_table(entry, file) for entry in metadata["programmes"]),
    )


def _entry(table: ProgrammeTable) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A programme's JSON header and its arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    entry: dict[str, Any] = {
        "variable": table.variable,
        "entity": table.entity,
        "reports": table.reports,
        "rate": "by_cell",
    }
    if isinstance(table.rate, StateRates):
        entry["rate"] = "by_state"
        arrays["rate"] = table.rate.by_fips
    elif isinstance(table.rate, np.ndarray):
        arrays["rate"] = table.rate
    else:
        entry["rate"] = table.rate
    if table.reported is not None:
        arrays["reported"] = table.reported
    if table.eligibility is not None:
        entry["eligibility_units"] = table.eligibility.n_units
        arrays["eligibility_counties"] = table.eligibility.counties
        arrays["eligibility_bits"] = table.eligibility.bits
    if table.adjusted is not None:
        arrays["adjusted"] = table.adjusted.values
        if table.adjusted.states is not None:
            arrays["adjusted_states"] = table.adjusted.states
    return entry, arrays


def _table(entry: Mapping[str, Any], file: ArrayFile) -> ProgrammeTable:
    variable = entry["variable"]
    names = frozenset(file)

    def optional(name: str) -> NDArray[Any] | None:
        key = f"{variable}/{name}"
        return file[key] if key in names else None

    adjusted = optional("adjusted")
    rate = entry["rate"]
    if rate == "by_state":
        rate = StateRates(file[f"{variable}/rate"])
    elif rate == "by_cell":
        rate = file[f"{variable}/rate"]
    return ProgrammeTable(
        variable=variable,
        entity=entry["entity"],
        rate=rate,
        reports=entry["reports"],
        reported=optional("reported"),
        eligibility=(
            PackedEligibility(
                counties=file[f"{variable}/eligibility_counties"],
                bits=file[f"{variable}/eligibility_bits"],
                n_units=entry["eligibility_units"],
            )
            if "eligibility_units" in entry
            else None
        ),
        adjusted=(None if adjusted is None else AdjustedRates(adjusted, optional("adjusted_states"))),
    )
