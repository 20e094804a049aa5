"""What the model is given of a source, and whether it then holds just that. The model itself is not imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from local_h5.errors import ModelError, SourceError, WriteError
from local_h5.files.forms import Form
from local_h5.files.hdf5 import create_h5
from local_h5.inputs.columns import MONTHS
from local_h5.inputs.id_columns import may_hold_ids, named_rows
from local_h5.inputs.membership import ENTITIES, HOUSEHOLD, PERSON
from local_h5.inputs.source import STRUCTURAL, SourceDataset
from local_h5.prepared.held import plain_array, utf8
from local_h5.prepared.places import Kept, Name

Periods = Mapping[str, np.ndarray]
"""Period → values by row."""


class VariableRules(Form, frozen=True):
    """Source variables that are left out, moved by the loader, or ids (``config/variables.yaml``).

    Attributes:
        calculated: variables that the model calculates; a stored value would override its formula.
        moved: variable → the variable under which the loader stores it.
        ids: variable → the entity whose ids it holds; 0 is none.
        no_ids: variables that look like ids and name no unit of the file.
        kept: variables that the model can compute from the place and that are inputs of the source nevertheless.
    """

    calculated: frozenset[Name]
    moved: Mapping[Name, Name]
    ids: Mapping[Name, Literal["person", "household", "tax_unit", "spm_unit", "family", "marital_unit"]] = {}
    no_ids: frozenset[Name] = frozenset()
    kept: Mapping[Name, Kept] = {}


def structure(source: SourceDataset) -> dict[str, Periods]:
    """Ids and links for the model: int32, 1 + source row, whatever the source's own are."""
    year, membership = str(source.year), source.membership
    columns: dict[str, Periods] = {}
    for entity in ENTITIES:
        columns[f"{entity}_id"] = {year: np.arange(1, membership.n_rows(entity) + 1, dtype=np.int32)}
    for entity, rows in {HOUSEHOLD: membership.household_of(PERSON), **membership.person_unit}.items():
        columns[f"person_{entity}_id"] = {year: rows + np.int32(1)}
    return columns


def id_columns(source: SourceDataset, loaded: Mapping[str, Any], rules: VariableRules) -> dict[str, Periods]:
    """Columns of ids, as source rows. A column that may hold ids and is in no list is refused."""
    for name, variable in loaded.items():
        if may_hold_ids(variable) and name not in rules.ids and name not in rules.no_ids:
            raise SourceError(
                f"{source.path}: {name}: expected a variable that is known to hold ids of units, or not to, "
                f"because files give units new ids, found '{variable.label}', which config/variables.yaml does "
                f"not list. Add it there: under 'ids' with the entity that it names ({', '.join(ENTITIES)}), or "
                "under 'no_ids'; or leave it out of the source."
            )
    return {
        name: named_rows(source, name, loaded[name].entity.key, entity)
        for name, entity in rules.ids.items()
        if name in loaded
    }


def write_columns(path: Path, columns: Mapping[str, Periods]) -> None:
    """Write a dataset in the exact types that the model's loader keeps."""
    try:
        with create_h5(path) as file:
            for name, periods in columns.items():
                for period, values in periods.items():
                    file[f"{name}/{period}"] = utf8(values) if values.dtype.kind == "U" else values
    except OSError as error:
        raise WriteError(
            f"{path.parent}: temporary folder: expected room for a copy of the source, found "
            f"{error.strerror or str(error)}. Free space, or set TMPDIR to another folder."
        ) from error


def check_moves(source: SourceDataset, rules: VariableRules, given: Mapping[str, Periods]) -> None:
    for name, target in rules.moved.items():
        if name not in given or target not in given:
            continue
        left, right = given[name], given[target]
        for period in left.keys() & right.keys():
            differs = np.flatnonzero(left[period] != right[period])
            if len(differs):
                row = differs[0]
                raise SourceError(
                    f"{source.path}: {name}/{period}: expected the values of {target}, where the model moves it, "
                    f"found {len(differs):,} that differ, first row {row}: {left[period][row]} against "
                    f"{right[period][row]}. Keep one of {name} and {target}."
                )


def refuse_changed(source: SourceDataset, holder: Any, given: Periods) -> None:
    """Refuse a variable that the model's loader has changed."""
    name = holder.variable.name
    stored = {str(period): holder.get_array(period) for period in holder.get_known_periods()}
    expected = dict(given)
    if holder.variable.definition_period == "month" and list(given) == [str(source.year)]:
        values = given[str(source.year)]
        if holder.variable.quantity_type == "flow":
            values = (values / MONTHS).astype(values.dtype)
        expected = {f"{source.year}-{month:02d}": values for month in range(1, MONTHS + 1)}
    same = stored.keys() == expected.keys() and all(
        np.array_equal(plain_array(stored[period]), plain_array(values)) for period, values in expected.items()
    )
    if not same:
        others = f"others, or other periods: {', '.join(sorted(stored))}"
        raise ModelError(
            f"{source.path}: {name}: expected the model to hold the values that it was given, found "
            f"{others[:200]}. Leave the variable out of the source, or use another version of the model."
        )


def refuse_vanished(source: SourceDataset, loaded: list[str], held: set[str], rules: VariableRules) -> None:
    vanished = [
        name for name in loaded if name not in held and name not in STRUCTURAL and rules.moved.get(name) not in held
    ]
    if vanished:
        raise SourceError(
            f"{source.path}: {', '.join(vanished[:5])}: expected every known variable to be held by the model "
            f"after loading, found {len(vanished)} that its loader dropped. Add it to 'moved' or 'calculated' in "
            "config/variables.yaml, with the reason."
        )


def reported_receipt(source: SourceDataset, name: str, periods: Periods) -> np.ndarray:
    """Who reported receipt, from the same reading of the column as in the files."""
    values = next(iter(periods.values()))
    if values.dtype != np.bool_:
        raise SourceError(
            f"{source.path}: {name}: expected yes or no, because it reports receipt, found a variable of "
            f"{values.dtype}. Name a yes/no variable under 'reports' of the take-up programme."
        )
    return values
