"""A row filter on a file, as policyengine.py makes one: households by one column, then persons, then their units."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from local_h5.contracts.results import AreaResult, read_sidecar, sidecar_path

Stored = Mapping[tuple[str, str], np.ndarray]
"""(variable, period) → values in file order."""


def stored(path: Path) -> Stored:
    """Everything that a file holds."""
    with h5py.File(path) as file:
        return {(name, period): file[name][period][()] for name in file for period in file[name]}


def filtered(path: Path, column: str, code: int, result: AreaResult | None = None) -> Stored:
    """What is left of a file when only households with a code stay.

    Args:
        path: of the H5.
        column: of the household, an integer.
        code: of the area.
        result: its sidecar, which has the entity of each variable; the file's own by default.
    """
    result = read_sidecar(sidecar_path(path)) if result is None else result
    values, year = stored(path), str(result.period)
    household = values[column, year] == code
    person = np.isin(values["person_household_id", year], values["household_id", year][household])
    kept = {"household": household, "person": person}
    for entity in set(result.rows) - kept.keys():
        kept[entity] = np.isin(values[f"{entity}_id", year], values[f"person_{entity}_id", year][person])
    entity_of = {item.variable: item.entity for item in result.columns}
    return {key: found[kept[entity_of[key[0]]]] for key, found in values.items()}


def different(one: Stored, other: Stored) -> set[str]:
    """Variables in which two files differ, in type, order or value."""
    assert one.keys() == other.keys()
    return {
        name
        for name, period in one
        if one[name, period].dtype != other[name, period].dtype
        or not np.array_equal(one[name, period], other[name, period], equal_nan=one[name, period].dtype.kind == "f")
    }
