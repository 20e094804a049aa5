"""Columns of the source whose values are ids of its units, such as ``parent_1_id``.

Files give new ids to units (:mod:`local_h5.inputs.membership`). So these columns are kept as source rows: 1 + the row
of the named unit, 0 for none. A file has the id of that unit in the same household clone.
"""

import re
from typing import Any

import numpy as np

from local_h5.errors import SourceError
from local_h5.inputs.columns import ColumnKind
from local_h5.inputs.membership import rows_with
from local_h5.inputs.source import SourceDataset

NONE = 0
"""The model's value for "no unit". So an id column cannot name a unit with the id 0."""

_NAME = re.compile(r".*_ids?")
_LABEL = re.compile(r"\b(?:person|unit|family|household|worker|record) ids?\b|\bidentifier|\bunique reference", re.I)


def may_hold_ids(variable: Any) -> bool:
    """Whether a variable of the model may hold ids of units, by its name or label."""
    return _NAME.fullmatch(variable.name) is not None or _LABEL.search(variable.label or "") is not None


def named_rows(source: SourceDataset, variable: str, entity: str, target: str) -> dict[str, np.ndarray]:
    """The units that an id column names.

    Args:
        source: checked.
        variable: the column.
        entity: whose rows it has.
        target: entity whose ids it holds.

    Returns:
        period → int32 (n_rows of ``entity``,): 1 + row of ``target``, 0 for none.

    Raises:
        SourceError: a value that is no whole number, no id of ``target``, or the id of a unit of another household
            (that household's clones are in other files); an id 0 in a source that names units.
        ConfigError: a rule for a missing value does not fit.
    """
    ids = source.ids[target]
    home, home_of_target = source.membership.household_of(entity), source.membership.household_of(target)
    columns = {}
    for period, named in source.read(ColumnKind(variable, entity, "id", default=NONE))[variable].items():
        given = np.flatnonzero(named != NONE)
        rows = rows_with(ids, named[given])
        unknown = given[rows < 0]
        if len(unknown):
            raise SourceError(
                f"{source.path}: {variable}: expected ids that {target}_id holds, or 0 for none, found "
                f"{len(unknown)} that it does not, first {named[unknown[0]]} in row {unknown[0]}. Correct them; "
                f"write 0 (or give inputs.missing a rule) where the {target} is not there."
            )
        elsewhere = given[home[given] != home_of_target[rows]]
        if len(elsewhere):
            raise SourceError(
                f"{source.path}: {variable}: expected a {target} of the same household, or 0 for none (households "
                f"go to different files), found {len(elsewhere)} of others, first {named[elsewhere[0]]} in row "
                f"{elsewhere[0]}. Write 0 where the {target} lives in another household, or leave {variable} out."
            )
        zero = np.flatnonzero(ids == NONE)
        if len(given) and len(zero):
            raise SourceError(
                f"{source.path}: {target}_id: expected no id 0, because 0 in {variable} means none, found 0 in "
                f"row {zero[0]}. Number the rows of {target} from 1, here and in the columns that name them."
            )
        columns[period] = np.zeros(len(named), np.int32)
        columns[period][given] = rows + 1
    return columns
