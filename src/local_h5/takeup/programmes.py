"""Definitions of the take-up programmes, read from YAML files and checked against their JSON schema.

``programmes.yaml`` lists variable → file; each file defines one programme: entity, rate, reports, eligibility, sources.
A programme is added by adding a file and a row.
"""

import importlib.resources
import itertools
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import yaml

from local_h5 import us
from local_h5.contracts import schema
from local_h5.errors import InputError
from local_h5.takeup.rates import Axis, CellRates, ConstantRate, Level, StateRates

_PERSON: Final = "person"
_LIST_FILE: Final = "programmes.yaml"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a rate comes from."""

    title: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Reports:
    """A variable that says who receives already."""

    variable: str
    entity: str
    """The programme's entity, or person: then a unit reports when any of its persons does."""
    source: Literal["model", "file"]
    """Whether the model holds the variable, or only the source file does."""


@dataclass(frozen=True, slots=True)
class Programme:
    """One take-up programme as its file defines it."""

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
        path: a ``programmes.yaml``; None for the one that is installed with the package.

    Returns:
        The programmes in the list's order.

    Raises:
        InputError: a file is missing, not YAML, does not satisfy the schema, or contradicts the list.
    """
    listing: Path | Traversable
    folder: Path | Traversable
    if path is None:
        folder = importlib.resources.files("local_h5.takeup") / "defaults"
        listing = folder / _LIST_FILE
    else:
        folder, listing = path.parent, path
    content = _read_yaml(listing)
    schema.check("takeup_programmes", content, listing, InputError)
    return tuple(_load_one(folder / file, variable) for variable, file in content["programmes"].items())


def required_variables(programmes: Sequence[Programme]) -> tuple[ModelVariable, ...]:
    """What prepare must compute or read for the source, by name; eligibility tables come apart.

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


# --- reading --------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Safe YAML in which dates stay text and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"repeated key {', '.join(repeated)}", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read_yaml(path: Path | Traversable) -> Any:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        # through JSON: keys become text, as the schema's patterns need, and NaN is refused
        return json.loads(json.dumps(content, allow_nan=False))
    except FileNotFoundError as error:
        raise InputError(f"{path}: expected a YAML file, found no file. Correct the path or the file.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: expected a YAML file, found {error}. Correct the path or the file.") from error


def _load_one(path: Path | Traversable, variable: str) -> Programme:
    content = _read_yaml(path)
    schema.check("takeup_programme", content, path, InputError)
    if content["variable"] != variable:
        raise InputError(
            f"{path}: variable: expected {variable}, as in the list, found {content['variable']}. Make file and "
            "list agree."
        )
    entity = content["entity"]
    return Programme(
        variable=variable,
        entity=entity,
        rate=_rate(path, entity, content["rate"]),
        reports=_reports(path, entity, content.get("reports")),
        eligibility=content.get("eligibility"),
        sources=tuple(Source(title=source["title"], url=source.get("url")) for source in content["sources"]),
    )


def _reports(path: Path | Traversable, entity: str, content: Mapping[str, Any] | None) -> Reports | None:
    if content is None:
        return None
    _check_entity(path, "reports.entity", entity, content["entity"])
    return Reports(content["variable"], content["entity"], content["source"])


def _check_entity(path: Path | Traversable, field: str, entity: str, found: str) -> None:
    if found not in (entity, _PERSON):
        raise InputError(f"{path}: {field}: expected {entity} or {_PERSON}, found {found}. Use one of these entities.")


def _rate(path: Path | Traversable, entity: str, content: Mapping[str, Any]) -> ConstantRate | StateRates | CellRates:
    if "constant" in content:
        return ConstantRate(tuple(sorted(content["constant"].items())))
    if "by_state" in content:
        unknown = sorted(set(content["by_state"]) - set(us.STATE_FIPS))
        if unknown:
            raise InputError(
                f"{path}: rate.by_state: expected postal codes of states, found {', '.join(unknown)}. Use "
                "two-letter codes."
            )
        return StateRates.from_postal(content["by_state"])
    cells = content["by_cell"]
    axes = tuple(_axis(path, entity, axis) for axis in cells["axes"])
    table = np.full([len(axis.levels) for axis in axes], np.nan, dtype=np.float32)
    _fill_cells(path, axes, cells["rates"], table, ())
    return CellRates(axes, table)


def _axis(path: Path | Traversable, entity: str, content: Mapping[str, Any]) -> Axis:
    field = f"rate.by_cell.axes.{content['name']}"
    _check_entity(path, f"{field}.entity", entity, content["entity"])
    aggregate = content.get("aggregate")
    if (aggregate is not None) != (content["entity"] != entity):
        raise InputError(
            f"{path}: {field}.aggregate: expected an aggregate exactly when the variable is of another entity "
            f"than {entity}, found {aggregate}. Add or remove the aggregate."
        )
    levels = tuple(
        Level(level["name"], level.get("at_most", level.get("below")), "at_most" in level)
        for level in content["levels"]
    )
    # the last level has no bound; (bound, inclusive) of the others must grow, or a level could never be reached
    bounds = [(math.inf if x.bound is None else x.bound, x.inclusive) for x in levels]
    grows = all(first < second for first, second in itertools.pairwise(bounds))
    if levels[-1].bound is not None or not grows or len({x.name for x in levels}) < len(levels):
        found = ", ".join(f"{x.name} {'' if x.bound is None else x.bound}" for x in levels)
        raise InputError(
            f"{path}: {field}.levels: expected different names, rising bounds, and no bound in the last level alone, "
            f"found {found}. Correct the levels."
        )
    return Axis(content["name"], content["variable"], content["entity"], aggregate, levels)


def _fill_cells(
    path: Path | Traversable,
    axes: Sequence[Axis],
    rates: object,
    table: np.ndarray,
    cell: tuple[int, ...],
) -> None:
    """Write the nested mapping ``rates`` into ``table``, one axis per nesting level."""
    place = ".".join(axis.levels[index].name for axis, index in zip(axes, cell, strict=False))
    field = f"rate.by_cell.rates.{place}".rstrip(".")
    if len(cell) == len(axes):
        if not isinstance(rates, int | float):
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
