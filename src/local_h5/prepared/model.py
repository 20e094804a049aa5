"""The adapter to the country model: the only module that imports ``policyengine_us``.

Importing the model costs about 16 CPU-seconds, so it happens inside :func:`build_snapshot`, once per source.
"""

import importlib.metadata
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from local_h5 import us
from local_h5.contracts.results import Excluded, PlaceBound
from local_h5.errors import ModelError, SourceError
from local_h5.files.atomic import sha256_of
from local_h5.inputs.columns import ColumnKind
from local_h5.inputs.geography.own import COLUMNS as OWN_COLUMNS
from local_h5.inputs.membership import ENTITIES, HOUSEHOLD, PERSON, keep_ids
from local_h5.inputs.source import STRUCTURAL, SourceDataset
from local_h5.prepared.dictionary import (
    BY_STATE,
    DRAWN,
    FROM_BLOCKS,
    FROM_DATASET,
    FROM_WEIGHTS,
    LOADED,
    NUMBERED,
    Written,
    attribute,
    dictionary_of,
    document,
    period_of,
)
from local_h5.prepared.formulas import FormulaReads
from local_h5.prepared.garbage import rare_collections
from local_h5.prepared.given import (
    VariableRules,
    check_moves,
    id_columns,
    refuse_changed,
    refuse_vanished,
    reported_receipt,
    structure,
    write_columns,
)
from local_h5.prepared.held import HeldColumns, member_names, plain_array, utf8
from local_h5.prepared.places import GEOGRAPHIC, Placed, place_columns
from local_h5.prepared.snapshot import IncomeLimits, SourceSnapshot, StateValues

PACKAGES = ("policyengine-us", "policyengine-core")

_MONEY = "currency-USD"

HUD_LIMITS = ("extremely_low_income", "very_low_income", "low_income")
HUD_SIZES = 8
"""The model clips family size to 1…8 when it looks a limit up."""

MedicaidCost = Literal["state_average", "model"]
MEDICAID_COST = "medicaid_cost_if_enrolled"
_MEDICAID_TOTALS = "calibration.gov.hhs.medicaid.totals"
_STATE_CODES = 100
"""Codes of two digits."""


@rare_collections()
def build_snapshot(
    source: SourceDataset,
    rules: VariableRules,
    *,
    model_values: Collection[str],
    reports: Mapping[str, str],
    medicaid_cost: MedicaidCost = "state_average",
    own_places: bool = False,
    drawn: Mapping[str, str] | None = None,
) -> SourceSnapshot:
    """Load ``source`` in the model and keep the values that the model has then.

    Args:
        source: checked by :func:`local_h5.inputs.source.read_source`.
        rules: what is not written, and what moves.
        model_values: variables to calculate for every unit of their entity (take-up needs them).
        reports: variables to read from the source file itself, known to the model or not, with the entity of those
            that it does not know; absent ones are skipped.
        medicaid_cost: ``state_average`` adds what Medicaid spends a person and year in each state, unless the source
            has the variable; ``model`` leaves it to the model, which shares a state's spending among the file's rows.
        own_places: whether households stay where the source has them. Then what depends on the place is kept, and so
            are the ids; places themselves come from the block table.
        drawn: variable → entity of what take-up programmes draw, for the dictionary.

    Raises:
        ModelError: the model is not installed, refuses the source or its year, holds something else than it was
            given, or lacks Medicaid's totals of a state.
        SourceError: a column's type, length, period or a value of it cannot be kept; a moved variable contradicts its
            target; the loader dropped a column that it knows; a column may be a place, and no table says so or not.
        ConfigError: a rule for a missing value does not fit the variable.
    """
    try:
        from policyengine_us import Microsimulation
        from policyengine_us.spm import REJECTED_DATASET_INPUTS
        from policyengine_us.system import system
    except ImportError as error:
        raise ModelError(
            f"policyengine_us: expected the installed model, found {error}. Install the extra 'model' of local-h5."
        ) from error

    known = system.variables
    excluded: dict[str, str] = {}
    for name in sorted(source.periods):
        if name in STRUCTURAL:
            continue
        if name in REJECTED_DATASET_INPUTS:
            excluded[name] = "refused by the model as a dataset input"
        elif name in rules.calculated:
            excluded[name] = "calculated by the model"
        elif name not in known:
            excluded[name] = "unknown to the model"
    apart = OWN_COLUMNS if own_places else GEOGRAPHIC  # files have them from the block table
    if own_places:
        placed = Placed({}, {})
        excluded = {name: why for name, why in excluded.items() if name not in apart}
        excluded |= dict.fromkeys(source.other_keys, "a key of the dataset that is no entity's table")
        loaded = [name for name in source.periods if name not in excluded and name not in apart]
    else:
        placed = place_columns(
            {name: known[name] for name in source.periods if name not in STRUCTURAL and name not in excluded},
            FormulaReads(known, system.parameters),
            rules.kept,
            source.path,
        )
        excluded |= placed.left_out
        # The place itself is loaded, because take-up's model values are those of the source's own households.
        loaded = [name for name in source.periods if name not in excluded or name in GEOGRAPHIC]
    given = id_columns(source, {name: known[name] for name in loaded if name not in STRUCTURAL}, rules)
    given |= source.read(*(_kind(source, known[n]) for n in loaded if n not in STRUCTURAL and n not in given))
    reported = source.read(
        *(
            _kind(source, known[name]) if name in known else ColumnKind(name, entity, "bool")
            for name, entity in reports.items()
            if name in source.periods and name not in given
        )
    )
    check_moves(source, rules, given)

    with tempfile.TemporaryDirectory(prefix="local_h5_") as folder:
        accepted = Path(folder) / "source.h5"  # the model goes by the suffix, and by years in the name
        write_columns(accepted, {**given, **structure(source)})
        with _model_errors(source.path, "a dataset that the model loads", "Correct the source"):
            simulation = Microsimulation(dataset=str(accepted))

    builder = HeldColumns()
    held = set()
    for name, variable in known.items():
        holder = simulation.get_holder(name)
        stored = sorted(holder.get_known_periods(), key=str)
        if not stored:
            continue
        held.add(name)
        if name in STRUCTURAL or name == "household_weight":
            continue
        if name in apart:
            continue
        if name.endswith("_weight") and name.removesuffix("_weight") in ENTITIES:
            excluded.setdefault(name, "a weight that the model derives from household_weight")
        else:
            for period in stored:
                builder.add(variable, str(period), holder.get_array(period), rules.ids.get(name))
    refuse_vanished(source, loaded, held, rules)
    for name, periods in given.items():
        target = rules.moved.get(name, name)
        if target in held and target not in apart:
            refuse_changed(source, simulation.get_holder(target), periods)

    with _model_errors(
        source.path,
        f"a source of a year that the model has parameters for; this one is of {source.year}",
        "Give a source of another year",
    ):
        values = {
            name: np.asarray(plain_array(simulation.calculate(name, source.year, use_weights=False)))
            for name in sorted(model_values)
        }
        county_fips, county_name = _counties()
        income_limits = _income_limits(source.year, county_fips)
    for name in sorted(reports):
        if name in source.periods and name not in values:
            values[name] = reported_receipt(source, name, given.get(name) or reported[name])
    add_cost = medicaid_cost == "state_average" and MEDICAID_COST in known and MEDICAID_COST not in held
    origin = dict.fromkeys((rules.moved.get(name, name) for name in given), FROM_DATASET)
    written = {
        column.variable: Written(column.entity, period_of(column.period), origin.get(column.variable, LOADED))
        for column in reversed(builder.columns)
    }
    written |= _written_besides(source, apart, own_places=own_places)
    written |= {name: Written(entity, "year", DRAWN) for name, entity in (drawn or {}).items()}
    if add_cost:
        written[MEDICAID_COST] = Written(PERSON, "year", BY_STATE)
    dictionary = dictionary_of(written, known, member_names)
    return SourceSnapshot(
        year=source.year,
        n_rows={entity: len(source.ids[entity]) for entity in ENTITIES},
        membership=keep_ids(source.path, source.membership, source.ids) if own_places else source.membership,
        columns=tuple(sorted(builder.columns, key=lambda c: (c.variable, c.period))),
        matrices=builder.matrices(),
        vocabularies=builder.vocabularies,
        excluded=tuple(Excluded(name, reason) for name, reason in sorted(excluded.items())),
        reflecting=tuple(PlaceBound(name, reason) for name, reason in sorted(placed.reflecting.items())),
        household_id=source.ids[HOUSEHOLD],
        values=values,
        county_fips=county_fips,
        county_name=county_name,
        income_limits=income_limits,
        versions={name: importlib.metadata.version(name) for name in PACKAGES},
        notes=source.notes,
        source_sha256=sha256_of(source.path),
        source_bytes=source.path.stat().st_size,
        state_values=(_medicaid_costs(system.parameters, source.year),) if add_cost else (),
        dictionary=document(dictionary),
        labels=attribute(dictionary),
    )


def _written_besides(source: SourceDataset, places: Collection[str], *, own_places: bool) -> dict[str, Written]:
    """Ids, links, places and weight, which files have from elsewhere than the snapshot's columns."""
    ids, weights, blocks = (3 * (FROM_DATASET,)) if own_places else (NUMBERED, FROM_WEIGHTS, FROM_BLOCKS)
    present = [name for name in places if not own_places or name in source.periods]
    return {
        **{f"{entity}_id": Written(entity, "year", ids) for entity in ENTITIES},
        **{f"person_{entity}_id": Written(PERSON, "year", ids) for entity in ENTITIES if entity != PERSON},
        **{name: Written(HOUSEHOLD, "year", blocks) for name in present},
        "household_weight": Written(HOUSEHOLD, "year", weights),
    }


@contextmanager
def _model_errors(path: Path, expected: str, remedy: str) -> Iterator[None]:
    """Turn any error of the model into one line. The model raises whatever its formulas raise."""
    try:
        yield
    except Exception as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"{path}: expected {expected}, found {type(error).__name__}: {said[:300]}. {remedy}; the message is "
            "the model's own."
        ) from error


def _kind(source: SourceDataset, variable: Any) -> ColumnKind:
    """The kind of a variable by the model."""
    members = member_names(variable)
    plain: Mapping[type, Literal["bool", "int", "float", "text"]] = {
        bool: "bool", int: "int", float: "float", str: "text",
    }  # fmt: skip
    value = "enum" if members is not None else plain.get(variable.value_type)
    spans: Mapping[str, Literal["year", "month", "eternity"]] = {
        "year": "year", "month": "month", "eternity": "eternity",
    }  # fmt: skip
    period = spans.get(str(variable.definition_period))
    if value is None or period is None:
        raise SourceError(
            f"{source.path}: {variable.name}: expected a variable by year, month or for all time, of numbers, "
            f"text, or yes and no, found {variable.value_type.__name__} by {variable.definition_period} in the "
            "model. Leave the variable out of the source."
        )
    default = variable.default_value
    return ColumnKind(
        variable.name,
        variable.entity.key,
        value,
        period,
        # Every number is a flow to the model by default, also ages and hours a week: only amounts are added up.
        months="equal" if variable.quantity_type != "flow" else "sum" if variable.unit == _MONEY else "refuse",
        members=() if members is None else tuple(members),
        default=getattr(default, "name", default),
        codes=value == "text" and variable.name in GEOGRAPHIC,
    )


def _counties() -> tuple[np.ndarray, np.ndarray]:
    """FIPS (int32, ascending) and County member name (bytes) of every county that the model knows by FIPS."""
    from policyengine_us.tools.geography.county_helpers import (
        load_county_fips_dataset,
        map_county_string_to_enum,
    )
    from policyengine_us.variables.household.demographic.geographic.county.county_enum import County

    table = load_county_fips_dataset()
    names = utf8([member.name for member in County])
    index = map_county_string_to_enum(table["county_name"], table["state"]).to_numpy().astype(int)
    fips = table["county_fips"].astype(int).to_numpy().astype(np.int32)
    order = np.argsort(fips, kind="stable")
    return fips[order], names[index[order]]


def _income_limits(year: int, county_fips: np.ndarray) -> IncomeLimits:
    from policyengine_us.parameters.gov.hud.income_limits import lookup_sized_income_limit

    county = np.unique(county_fips)
    text = np.char.zfill(county.astype("U5"), 5)
    limit = np.zeros((len(county), HUD_SIZES))
    for size in range(1, HUD_SIZES + 1):
        sizes = np.full(len(county), size)
        for prefix in HUD_LIMITS:
            limit[:, size - 1] = np.maximum(limit[:, size - 1], lookup_sized_income_limit(text, sizes, year, prefix))
    return IncomeLimits(county, limit)


def _medicaid_costs(parameters: Any, year: int) -> StateValues:
    """Medicaid's spending a person and year, by state: total spending over enrolment, dollars.

    The model itself uses this value for one person without a dataset. With a dataset its formula divides a state's
    spending by the weighted enrolment of the loaded rows instead.

    Raises:
        ModelError: a state has no spending or no enrolment.
    """
    found: Any = parameters(f"{year}-01-01")
    try:
        for part in _MEDICAID_TOTALS.split("."):
            found = getattr(found, part)
        dollars = {code: float(found.spending[code]) for code in us.STATE_FIPS}
        persons = {code: float(found.enrollment[code]) for code in us.STATE_FIPS}
        wrong = [code for code in us.STATE_FIPS if not (dollars[code] > 0 and persons[code] > 0)]
        problem = f"nothing for {', '.join(wrong)}" if wrong else ""
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise ModelError(
            f"{_MEDICAID_TOTALS}: expected spending and enrollment of every state in {year}, among the parameters "
            f"of the installed model, found {problem}. Install the version that requirements.lock names, or set "
            "output.medicaid_cost: model (docs/validation.md says what follows)."
        )
    by_fips = np.full(_STATE_CODES, np.nan, dtype=np.float32)
    for code, fips in us.STATE_FIPS.items():
        by_fips[fips] = dollars[code] / persons[code]
    return StateValues(MEDICAID_COST, by_fips)
