"""The source snapshot: everything that later steps need from the source and the model, as plain arrays.

Made once by :mod:`local_h5.prepared.model`; read here with numpy only. Columns of one entity and dtype are the rows of
one matrix; text and enums are integer codes with one vocabulary per variable.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from local_h5.contracts.results import Excluded, PlaceBound
from local_h5.errors import InputError
from local_h5.files.arrays import content_sha256
from local_h5.inputs.membership import Membership


class SourceColumn(Struct, frozen=True):
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


class IncomeLimits(Struct, frozen=True):
    """HUD income limits by county and SPM-unit size.

    ``county`` int32 (n_counties,) FIPS ascending; ``limit`` float64 (n_counties, n_sizes), the highest of the three
    limits in dollars a year, 0 where there is none; column ``j`` is for ``j + 1`` persons, the last for more.
    """

    county: np.ndarray
    limit: np.ndarray


class StateValues(Struct, frozen=True):
    """An input that every person of a state has alike, written by the state that a clone lives in.

    Attributes:
        variable: the model's name.
        by_fips: float32 (100,), the value at each state FIPS code; NaN where there is no state.
    """

    variable: str
    by_fips: np.ndarray


class SourceSnapshot(Struct, frozen=True):
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
        dictionary: uint8, text of the run's ``dictionary.json``; empty where nobody made one.
        labels: uint8, what every area file says of its variables (:mod:`local_h5.prepared.dictionary`); likewise.
        content: sha256 of all the rest, see :func:`sealed`.
    """

    stored_as: ClassVar = ("source_snapshot", 5)

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
    dictionary: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    content: str = ""

    def of_the_year(self) -> tuple[SourceColumn, ...]:
        """One column for each variable, with the period of the year, as a table of an entity has them.

        The model gives the year's value of a monthly yes or no, or of a text, to each month. Of numbers it may take a
        twelfth, which need not come out as the month's value was.

        Raises:
            InputError: a variable has several values in the year, or months of numbers.
        """
        periods: dict[str, list[SourceColumn]] = {}
        for column in self.columns:
            periods.setdefault(column.variable, []).append(column)
        for variable, columns in periods.items():
            alike = {(column.matrix, column.row) for column in columns}
            months = sum("-" in column.period for column in columns)
            kind = self.matrices[columns[0].matrix].dtype.kind
            if len(alike) > 1 or months not in (0, 12) or (months and kind != "b" and not columns[0].coded):
                found = f"{len(alike)} different values" if len(alike) > 1 else "months of numbers"
                found = found if months in (0, 12) else f"{months} of 12 months"
                raise InputError(
                    f"output.form: {variable}: expected one value for the year, which is all that tables hold, found "
                    f"{found} in {columns[0].period} to {columns[-1].period}. Set output.form: periods, or leave "
                    "the variable out of the source."
                )
        return tuple(replace(columns[0], period=str(self.year)) for columns in periods.values())


def sealed(snapshot: SourceSnapshot) -> SourceSnapshot:
    """The snapshot with the digest of its content. A description that changed is no change of the source."""
    nothing = np.empty(0, np.uint8)
    return replace(snapshot, content=content_sha256(replace(snapshot, dictionary=nothing, labels=nothing, content="")))
