"""Definitions of the take-up programmes, read from YAML files.

``programmes.yaml`` lists variable → file; each file defines one programme: entity, rate, reports, eligibility, sources.
A programme is added by adding a file and a row.
"""

import importlib.resources
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from msgspec import Meta

from local_h5 import us
from local_h5.errors import InputError
from local_h5.files import forms
from local_h5.files.forms import Form, Share, Text
from local_h5.takeup.rates import AxisForm, CellRates, ConstantRate, Entity, Name, StateRates

_PERSON: Final = "person"
_LIST_FILE: Final = "programmes.yaml"
_ADVICE: Final = "Correct the path or the file."


IsoDate = Annotated[str, forms.matching("[0-9]{4}-[0-9]{2}-[0-9]{2}")]


class Source(Form, frozen=True):
    """Where a rate comes from."""

    title: Text
    url: Annotated[str, Meta(pattern="^https?://")] | None = None


class Reports(Form, frozen=True):
    """A variable that says who receives already. Left out of the draw when the source lacks it.

    Attributes:
        entity: the programme's entity, or person: then a unit reports when any of its persons does.
        source: whether the model holds the variable, or only the source file does.
    """

    variable: Name
    entity: Entity
    source: Literal["model", "file"]


class CellsForm(Form, frozen=True):
    """Rates by the unit's own characteristics, nested in the order of the axes."""

    axes: Annotated[tuple[AxisForm, ...], Meta(min_length=1)]
    rates: Annotated[Mapping[str, Any], Meta(min_length=1)]


class RateForm(Form, frozen=True):
    """A rate, in one of three ways.

    Attributes:
        constant: ISO date → rate; the latest entry whose year is not after the file's year counts.
        by_state: postal code of the state → rate.
        by_cell: by the unit's own characteristics.
    """

    constant: Annotated[Mapping[IsoDate, Share], Meta(min_length=1)] | None = None
    by_state: Annotated[Mapping[Annotated[str, forms.matching("[A-Z]{2}")], Share], Meta(min_length=1)] | None = None
    by_cell: CellsForm | None = None

    RULES: ClassVar[Mapping[str, Any]] = {"minProperties": 1, "maxProperties": 1}

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of constant, by_state, by_cell, found {', '.join(given) or 'none'}")


class ProgrammeForm(Form, frozen=True):
    """One programme whose take-up is drawn.

    Attributes:
        variable: take-up variable of the model; also part of the key of every draw.
        entity: of the variable.
        rate: at which it is drawn.
        sources: where the numbers come from.
        reports: who receives already according to the source.
        eligibility: table that restricts the draw.
    """

    variable: Name
    entity: Entity
    rate: RateForm
    sources: tuple[Source, ...]
    reports: Reports | None = None
    eligibility: Name | None = None

    RULES: ClassVar[Mapping[str, Any]] = {
        "if": {"required": ["reports"]},
        "then": {"properties": {"rate": {"not": {"required": ["by_cell"]}}}},
    }

    def __post_init__(self) -> None:
        if self.reports is not None and self.rate.by_cell is not None:  # it has no groups to adjust over
            raise ValueError("rate: expected constant or by_state together with reports, found by_cell")


class ProgrammesForm(Form, frozen=True):
    """The programmes whose take-up is drawn: variable → the file, in the same folder, that defines it."""

    programmes: Annotated[
        Mapping[Name, Annotated[str, forms.matching(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.ya?ml")]], Meta(min_length=1)
    ]


@dataclass(frozen=True, slots=True)
class Programme:
    """One take-up programme, checked."""

    variable: str
    entity: str
    rate: ConstantRate | StateRates | CellRates
    reports: Reports | None
    eligibility: str | None
    """Name of the eligibility table that restricts the draw; None when everybody may take up."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class ModelVariable:
    """A variable whose values the programmes need for the source."""

    variable: str
    entity: str
    source: Literal["model", "file"]
    optional: bool
    """Whether a source without it is accepted (reports)."""


def load_programmes(path: Path | None = None) -> tuple[Programme, ...]:
    """Read a list of programmes and the file of each.

    Args:
        path: a ``programmes.yaml``; None for the installed one.

    Returns:
        The programmes in the list's order.

    Raises:
        InputError: a file is missing, not YAML, does not satisfy the schema, or contradicts the list.
    """
    return _installed() if path is None else _load(path.parent, path)


def required_variables(programmes: Sequence[Programme]) -> tuple[ModelVariable, ...]:
    """The variables of the source that the programmes need, by name, without those of eligibility tables.

    Raises:
        InputError: two programmes want the same variable from different places.
    """
    needed: dict[str, ModelVariable] = {}
    for programme in programmes:
        wanted = []
        if isinstance(programme.rate, CellRates):
            wanted += [
                ModelVariable(axis.variable, axis.entity, "model", optional=False) for axis in programme.rate.axes
            ]
        if programme.reports is not None:
            reports = programme.reports
            wanted.append(ModelVariable(reports.variable, reports.entity, reports.source, optional=True))
        for variable in wanted:
            before = needed.setdefault(variable.variable, variable)
            if (before.entity, before.source) != (variable.entity, variable.source):
                raise InputError(
                    f"{programme.variable}: {variable.variable}: expected entity {before.entity} from the "
                    f"{before.source}, as another programme, found entity {variable.entity} from the "
                    f"{variable.source}. Make the two programmes agree."
                )
            if before.optional and not variable.optional:
                needed[variable.variable] = variable
    return tuple(needed[name] for name in sorted(needed))


def required_eligibility(programmes: Sequence[Programme]) -> frozenset[str]:
    """Names of the eligibility tables that the programmes refer to."""
    return frozenset(programme.eligibility for programme in programmes if programme.eligibility is not None)


@cache
def _installed() -> tuple[Programme, ...]:
    """Read once per process: the files of an installation do not change under it."""
    folder = importlib.resources.files("local_h5.takeup") / "defaults"
    return _load(folder, folder / _LIST_FILE)


# --- reading --------------------------------------------------------------------------------------------------------


def _load(folder: Path | Traversable, listing: Path | Traversable) -> tuple[Programme, ...]:
    listed = forms.read_yaml(listing, ProgrammesForm, InputError, _ADVICE).programmes
    return tuple(_load_one(folder / file, variable) for variable, file in listed.items())


def _load_one(path: Path | Traversable, variable: str) -> Programme:
    read = forms.read_yaml(path, ProgrammeForm, InputError, _ADVICE)
    if read.variable != variable:
        raise InputError(
            f"{path}: variable: expected {variable}, as in the list, found {read.variable}. Make file and list agree."
        )
    if read.reports is not None:
        _check_entity(path, "reports.entity", read.entity, read.reports.entity)
    rate = _rate(path, read.entity, read.rate)
    return Programme(variable, read.entity, rate, read.reports, read.eligibility, read.sources)


def _check_entity(path: Path | Traversable, field: str, entity: str, found: str) -> None:
    if found not in (entity, _PERSON):
        raise InputError(f"{path}: {field}: expected {entity} or {_PERSON}, found {found}. Use one of these entities.")


def _rate(path: Path | Traversable, entity: str, read: RateForm) -> ConstantRate | StateRates | CellRates:
    if read.constant is not None:
        return ConstantRate(tuple(sorted(read.constant.items())))
    if read.by_state is not None:
        unknown = sorted(set(read.by_state) - set(us.STATE_FIPS))
        if unknown:
            raise InputError(
                f"{path}: rate.by_state: expected postal codes of states, found {', '.join(unknown)}. Use "
                "two-letter codes."
            )
        return StateRates.from_postal(read.by_state)
    assert read.by_cell is not None
    axes = read.by_cell.axes
    for axis in axes:
        _check_axis(path, entity, axis)
    table = np.full([len(axis.levels) for axis in axes], np.nan, dtype=np.float32)
    _fill_cells(path, axes, read.by_cell.rates, table, ())
    return CellRates(axes, table)


def _check_axis(path: Path | Traversable, entity: str, read: AxisForm) -> None:
    field = f"rate.by_cell.axes.{read.name}"
    _check_entity(path, f"{field}.entity", entity, read.entity)
    if (read.aggregate is not None) != (read.entity != entity):
        raise InputError(
            f"{path}: {field}.aggregate: expected an aggregate exactly when the variable is of another entity "
            f"than {entity}, found {read.aggregate}. Add or remove the aggregate."
        )
    levels = read.levels
    # the last level has no bound; those of the others must grow, or a level could never be reached
    bounds = [(math.inf if x.bound is None else x.bound, x.at_most is not None) for x in levels]
    grows = all(first < second for first, second in itertools.pairwise(bounds))
    if levels[-1].bound is not None or not grows or len({x.name for x in levels}) < len(levels):
        found = ", ".join(f"{x.name} {'' if x.bound is None else x.bound}" for x in levels)
        raise InputError(
            f"{path}: {field}.levels: expected different names, rising bounds, and no bound in the last level alone, "
            f"found {found}. Correct the levels."
        )


def _fill_cells(
    path: Path | Traversable,
    axes: Sequence[AxisForm],
    rates: object,
    table: np.ndarray,
    cell: tuple[int, ...],
) -> None:
    """Write the nested mapping ``rates`` into ``table``, one axis for each level."""
    place = ".".join(axis.levels[index].name for axis, index in zip(axes, cell, strict=False))
    field = f"rate.by_cell.rates.{place}".rstrip(".")
    if len(cell) == len(axes):
        if isinstance(rates, bool) or not isinstance(rates, int | float) or not 0 <= rates <= 1:
            raise InputError(f"{path}: {field}: expected a rate, found {rates}. Write a number from 0 to 1.")
        table[cell] = rates
        return
    names = [level.name for level in axes[len(cell)].levels]
    if not isinstance(rates, Mapping) or set(rates) != set(names):
        raise InputError(
            f"{path}: {field}: expected the levels {', '.join(names)}, found "
            f"{', '.join(map(str, rates)) if isinstance(rates, Mapping) else rates}. Give a rate for each of them."
        )
    for index, name in enumerate(names):
        _fill_cells(path, axes, rates[name], table, (*cell, index))
