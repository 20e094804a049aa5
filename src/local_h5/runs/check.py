"""Check the inputs of a run before it starts: their headers, shapes, codes and values, without the model.

Everything is read by the readers that the run itself uses, so a fault is said here in the words in which the run would
say it, minutes later. What one file does not need from another is checked even where the other is wrong.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import h5py
import numpy as np
from msgspec import Struct, to_builtins

from local_h5.config.settings import Package, Settings
from local_h5.errors import LocalH5Error, RequestError
from local_h5.files.atomic import error_line
from local_h5.inputs.columns import ColumnKind, read_column
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.blocks import UnknownBlocksWarning, build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.load import geography_form
from local_h5.inputs.geography.own import COLUMNS as OWN_COLUMNS
from local_h5.inputs.geography.own import WEIGHT
from local_h5.inputs.id_columns import named_rows
from local_h5.inputs.membership import HOUSEHOLD, PERSON
from local_h5.inputs.source import STRUCTURAL, SourceDataset, read_source
from local_h5.inputs.stored import Stored
from local_h5.inputs.weights import load_weights
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.declared import ModelSource
from local_h5.prepared.given import VariableRules
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.places import DERIVED, PLACE_INPUTS
from local_h5.prepared.steps import checked_geography, load_variable_rules
from local_h5.requests import AREA_TYPES, AreaBuildRequest
from local_h5.takeup.programmes import Programme, load_programmes
from local_h5.validation.structural.population import reference_populations
from local_h5.validation.targets.database import TargetDatabase
from local_h5.validation.targets.training import read_training

Verdict = Literal["right", "fault", "later", "note"]

Made = TypeVar("Made")

_NAMES = {"national": ("nation", "nations"), "city": ("city", "cities")}
_TABLES = ("block_districts", "block_crosswalk", "county_cbsa")


class Finding(Struct, frozen=True):
    """What was found of one input.

    Attributes:
        verdict: ``right``; ``fault``: a run would stop at it; ``later``: not looked at, for the reason in the text;
            ``note``: no run stops at it, and it may be meant otherwise.
        what: the file, or key of the configuration.
        text: one line. That of a fault is the run's own error, and names the file.
    """

    verdict: Verdict
    what: str
    text: str


class _Checks:
    """Collects findings, and goes on after a fault."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def attempt(
        self, what: object, work: Callable[[], Made], right: Callable[[Made], str] | None = None
    ) -> Made | None:
        """The result of ``work``, said to be right; None after a fault."""
        try:
            made = work()
        except (LocalH5Error, OSError) as error:
            self.fault(what, error)
            return None
        if right is not None:
            self.say("right", what, right(made))
        return made

    def fault(self, what: object, error: Exception) -> None:
        self.say("fault", what, error_line(error))

    def say(self, verdict: Verdict, what: object, text: str) -> None:
        self.found.append(Finding(verdict, str(what), text))


def check_inputs(settings: Settings) -> tuple[Finding, ...]:
    """Check every input of a run that is there.

    An input that the run makes or fetches itself, and has not yet, is ``later``. The model is not imported: what it
    declares of the dataset's columns is read from its source (:mod:`local_h5.prepared.declared`).

    Args:
        settings: of the run.

    Returns:
        The findings, file by file.
    """
    checks, config = _Checks(), settings.config
    checks.say("right", settings.where, _counted(settings.requests))
    rules = checks.attempt(
        config.variables,
        lambda: load_variable_rules(Path(config.variables)),
        lambda made: (
            f"{len(made.calculated)} variables that the model calculates, {len(made.ids)} that are ids of units"
        ),
    )
    programmes = checks.attempt(
        settings.programmes,
        lambda: load_programmes(settings.programmes),
        lambda made: f"{len(made)} take-up programmes",
    )
    source = _dataset(checks, settings, rules)
    if settings.from_dataset:
        _own_places(checks, settings, source, programmes)
    else:
        for package in settings.packages:
            _package(checks, settings, package, source)
    _validation(checks, settings, source)
    return tuple(checks.found)


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding, and one with their numbers."""
    width = max(len(one.verdict) for one in findings)
    lines = []
    for one in findings:
        named = one.text if one.text.startswith(one.what) else f"{one.what}: {one.text}"
        lines.append(f"{one.verdict:<{width}}  {named}")
    counts = Counter(one.verdict for one in findings)
    faults = counts["fault"]
    said = f"{faults} fault{'' if faults == 1 else 's'}" if faults else "No fault"
    later = f", {counts['later']} not looked at" if counts["later"] else ""
    return [*lines, f"{said}; {counts['right']} right{later}."]


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs."""
    return {"good": is_good(findings), "findings": to_builtins(findings)}


def is_good(findings: Sequence[Finding]) -> bool:
    """Whether no run would stop at one of them."""
    return all(one.verdict != "fault" for one in findings)


def _counted(requests: Sequence[AreaBuildRequest]) -> str:
    counts = Counter(request.area_type for request in requests)
    parts = [
        f"{counts[kind]:,} {_NAMES.get(kind, (kind, f'{kind}s'))[counts[kind] > 1]}"
        for kind in AREA_TYPES
        if counts[kind]
    ]
    return f"{len(requests):,} areas ({', '.join(parts)})"


# --- the dataset


def _dataset(checks: _Checks, settings: Settings, rules: VariableRules | None) -> SourceDataset | None:
    path, inputs = settings.dataset, settings.config.inputs
    if inputs.example and not path.is_file():
        checks.say("later", path, "the run makes it")
        return None
    source = checks.attempt(
        path,
        lambda: read_source(
            path, sha256=inputs.dataset_sha256, missing=settings.missing, year=inputs.year, units=inputs.units
        ),
        _says_source,
    )
    if source is not None and rules is not None:
        _columns(checks, settings, source, rules)
    return source


def _says_source(source: SourceDataset) -> str:
    counts = f"{source.membership.n_rows(HOUSEHOLD):,} households and {source.membership.n_rows(PERSON):,} persons"
    return f"{counts} of {source.year}; their ids, and who belongs to whom"


def _columns(checks: _Checks, settings: Settings, source: SourceDataset, rules: VariableRules) -> None:
    """Check the values of the columns that files will have, each by what the model declares of it."""
    model = ModelSource.installed()
    names = [name for name in source.periods if name not in STRUCTURAL and name not in rules.calculated]
    if model is None:
        checks.say("later", source.path, f"the values of {len(names)} columns: policyengine_us is not installed")
        return
    declared = model.variables(names)
    apart = OWN_COLUMNS | {WEIGHT} if settings.from_dataset else DERIVED | PLACE_INPUTS.keys()
    names = [name for name in names if name in declared and name not in apart and name not in model.refused]
    kinds = {name: kind for name in names if (kind := declared[name].kind) is not None}
    wrong = 0
    for name, fault in _column_faults(source, kinds, rules):
        wrong += 1
        # The model computes such a column from the place of a clone, and files may do without it.
        if declared[name].computed and not settings.from_dataset and name not in rules.moved and name not in rules.kept:
            checks.say("note", source.path, f"{fault} If the model computes it from the place, it is left out instead.")
        else:
            checks.fault(source.path, fault)
    unread = f"; {len(names) - len(kinds)} more cannot be judged without the model" if len(names) > len(kinds) else ""
    if len(kinds) > wrong:
        checks.say("right", source.path, f"the values of {len(kinds) - wrong:,} columns that the model knows{unread}")


def _column_faults(
    source: SourceDataset, kinds: dict[str, ColumnKind], rules: VariableRules
) -> Iterator[tuple[str, LocalH5Error]]:
    with h5py.File(source.path) as file:
        columns: dict[str, Stored] | None = None
        if source.tables is not None:
            try:
                columns = source.tables.read(file, list(kinds))  # in one pass
            except LocalH5Error:
                columns = {}
        for name, kind in kinds.items():
            try:
                if name in rules.ids:
                    named_rows(source, name, kind.entity, rules.ids[name])
                    continue
                given: h5py.File | dict[str, Stored] = file
                if source.tables is not None:
                    given = columns or source.tables.read(file, [name])
                read_column(
                    source.path,
                    given,
                    kind,
                    source.periods[name],
                    year=source.year,
                    n_rows=len(source.ids[kind.entity]),
                    missing=source.missing.rules.get(name),
                )
            except LocalH5Error as error:
                yield name, error


# --- weights and places


def _package(checks: _Checks, settings: Settings, package: Package, source: SourceDataset | None) -> None:
    """Weights and geography of a package, and the areas that are cut from it."""
    inputs = settings.config.inputs
    if inputs.example and not (package.weights.is_file() and package.geography.is_file()):
        checks.say("later", package.weights, "the run makes it")
        checks.say("later", package.geography, "the run makes it")
        return
    households = None if source is None else source.membership.n_rows(HOUSEHOLD)
    weights = checks.attempt(package.weights, lambda: load_weights(package.weights, households), _says_weights)
    if households is None:
        checks.say("later", package.geography, f"it is read once {settings.dataset} is right")
        return
    absent = [path for name in _TABLES if not (path := getattr(settings, name)).is_file()]
    form = checks.attempt(package.geography, lambda: geography_form(package.geography))
    if form == "blocks" and settings.block_districts in absent:
        checks.say("later", package.geography, f"its districts are looked up in {settings.block_districts}, once there")
        return
    if form is None:
        return
    districts = Path(settings.config.areas.districts)
    geography = checks.attempt(
        package.geography,
        lambda: checked_geography(package.geography, households, settings.block_districts, districts),
        _says_geography,
    )
    if geography is None:
        return
    if weights is not None and len(weights) != len(geography.block):
        checks.attempt(package.weights, lambda: load_weights(package.weights, households, geography.n_clones))
        weights = None
    if absent:
        checks.say("later", absent[0], "the run fetches it; then blocks are looked up, and areas found")
        return
    with warnings.catch_warnings(record=True, action="always", category=UnknownBlocksWarning) as warned:
        blocks = checks.attempt(
            package.geography,
            lambda: build_block_table(
                geography, settings.tables, settings.config.geography.unknown_blocks, where=str(package.geography)
            ),
            lambda made: f"{len(made.geoid):,} different blocks, each in its district by the block tables",
        )
    for warning in warned:
        checks.say("note", package.geography, str(warning.message))
    if weights is None or blocks is None:
        return
    clones = checks.attempt(package.weights, lambda: CloneIndex.build(weights, geography, blocks))
    if clones is not None:
        _areas(checks, settings, package, clones, blocks)


def _own_places(
    checks: _Checks, settings: Settings, source: SourceDataset | None, programmes: Sequence[Programme] | None
) -> None:
    """Weights and places of a dataset that has them itself, and the areas that are cut from it."""
    if source is None or programmes is None:
        checks.say("later", settings.dataset, "its weights and places are read once what is above is right")
        return
    districts = Path(settings.config.areas.districts)
    own = checks.attempt(
        settings.dataset,
        lambda: prepare_own_places(source, programmes, districts),
        lambda made: f"{_says_weights(made.places.weight)}; places of every household",
    )
    if own is not None:
        _areas(checks, settings, settings.packages[0], own.clones, own.blocks)


def _says_weights(weights: np.ndarray) -> str:
    return f"{len(weights):,} weights, {np.count_nonzero(weights):,} above 0, {weights.sum():,.0f} in all"


def _says_geography(geography: Geography) -> str:
    codes = f"{len(geography.block):,} blocks, their districts, counties and states"
    return f"{geography.n_clones:,} clones of {geography.n_households:,} households; {codes}"


def _areas(checks: _Checks, settings: Settings, package: Package, clones: CloneIndex, blocks: BlockTable) -> None:
    requests = [request for request in settings.requests if request.package == package.name]
    wrong = 0
    for request in requests:
        try:
            clones.chosen(request, blocks)
        except RequestError as error:
            wrong += 1
            checks.fault("areas", error)
    if len(requests) > wrong:
        checks.say("right", "areas", f"{len(requests) - wrong:,} areas have households")


# --- what files are compared with


def _validation(checks: _Checks, settings: Settings, source: SourceDataset | None) -> None:
    config = settings.config.validation
    if config.population.table is not None:
        checks.attempt(
            config.population.table,
            lambda: reference_populations(settings.config.structural),
            lambda made: f"populations of {len(made):,} areas",
        )
    if config.training is not None:
        training = Path(config.training)
        checks.attempt(
            training, lambda: read_training(training), lambda ids: f"{len(ids):,} targets of the calibration"
        )
    targets = settings.config.inputs.targets
    if targets is None:
        return
    if source is None:
        checks.say("later", targets, "its targets are read once the year of the dataset is known")
        return
    checks.attempt(
        targets,
        lambda: TargetDatabase.read(Path(targets), source.year),
        lambda made: f"{sum(map(len, made.by_area.values())):,} targets of {len(made.by_area):,} areas",
    )
