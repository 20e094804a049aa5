"""A stand-in for the country model's part of the prepare step, so that builds can be tested without its import.

It holds what the source stores, and makes up the values that take-up needs by simple arithmetic.
"""

from collections.abc import Collection, Sequence

import numpy as np
from msgspec.structs import replace

from local_h5.contracts.results import Excluded
from local_h5.files.atomic import sha256_of
from local_h5.inputs.columns import ColumnKind
from local_h5.inputs.geography.own import COLUMNS as OWN_COLUMNS
from local_h5.inputs.id_columns import named_rows
from local_h5.inputs.membership import HOUSEHOLD, PERSON, keep_ids
from local_h5.inputs.source import ENTITIES, STRUCTURAL, SourceDataset
from local_h5.prepared.given import VariableRules
from local_h5.prepared.model import MEDICAID_COST, MedicaidCost
from local_h5.prepared.places import GEOGRAPHIC
from local_h5.prepared.snapshot import IncomeLimits, SourceColumn, SourceSnapshot, StateValues, sealed
from local_h5.takeup.programmes import Programme, load_programmes

ENTITY = {
    **{programme.variable: programme.entity for programme in load_programmes()},
    **dict.fromkeys(("county", "zip_code", "household_note"), "household"),
    **dict.fromkeys(("spm_unit_tenure_type", "receives_housing_assistance"), "spm_unit"),
}
"""Entity of the variables that are not persons'."""

TENURE = ("RENTER", "OWNER_WITH_MORTGAGE", "OWNER_WITHOUT_MORTGAGE")
OTHER_TYPES = {
    "age": "float", "employment_income": "float", "household_weight": "float", "detailed_occupation_recode": "int",
    MEDICAID_COST: "float", "state_fips": "int", "household_note": "text", "county": "text", "zip_code": "text",
    "spm_unit_tenure_type": "enum",
}  # fmt: skip
"""Types of the variables that are not yes or no."""

UNKNOWN = "reported_has_subsidized_marketplace_health_coverage_at_interview"
MONTHLY = "receives_wic"
STRANGE = "unheard_of"
COUNTIES = np.array([1001, 2013, 6037, 6073, 11001, 37001, 37037, 37119], np.int32)


STATE_COST = (1_000.0 + np.arange(100)).astype(np.float32)
"""Made up: what a person costs Medicaid in the state of each FIPS code."""


def kind(name: str) -> ColumnKind:
    """What the model would say of a variable."""
    members = TENURE if name == "spm_unit_tenure_type" else ()
    return ColumnKind(name, ENTITY.get(name, PERSON), OTHER_TYPES.get(name, "bool"), members=members)  # type: ignore[arg-type]


def snapshot_without_model(
    source: SourceDataset,
    rules: VariableRules,
    programmes: Sequence[Programme],
    medicaid_cost: MedicaidCost = "state_average",
    *,
    places: Collection[str] = GEOGRAPHIC,
) -> SourceSnapshot:
    """Has the signature of :func:`local_h5.prepared.steps.prepare_snapshot`; ``places`` are not in the snapshot."""
    columns: list[SourceColumn] = []
    rows: dict[str, list[np.ndarray]] = {}
    vocabularies = {}
    excluded = [Excluded(UNKNOWN, "unknown to the model")]
    excluded += [Excluded(name, "unknown to the model") for name in source.periods if name == STRANGE]
    written = [n for n in sorted(source.periods) if n not in STRUCTURAL and not n.endswith("_weight") and n != STRANGE]
    excluded += [Excluded(name, "written from the calibration package") for name in written if name in places]
    read = source.read(*(kind(name) for name in written if name not in places and name not in rules.ids))
    read |= {n: named_rows(source, n, ENTITY.get(n, PERSON), rules.ids[n]) for n in written if n in rules.ids}
    first = {name: periods[str(source.year)] for name, periods in read.items()}
    for name, values in first.items():
        if name == UNKNOWN:
            continue
        year, entity, names = str(source.year), ENTITY.get(name, PERSON), rules.ids.get(name)
        coded = values.dtype.kind == "U"
        if coded:
            vocabularies[name], values = np.unique(values.astype("S"), return_inverse=True)
        matrix = f"{entity}/{values.dtype.name}"
        place = len(rows.setdefault(matrix, []))
        rows[matrix].append(values)
        periods = [f"{year}-{month:02d}" for month in range(1, 13)] if name == MONTHLY else [year]
        columns += [SourceColumn(name, entity, period, matrix, place, coded, names) for period in periods]
    n_rows = {entity: len(source.ids[entity]) for entity in ENTITIES}
    needed = () if places is not GEOGRAPHIC else programmes
    values = (
        {}
        if not needed
        else {
            "tax_unit_child_dependents": np.arange(n_rows["tax_unit"]) % 3,
            "age_head": 20 + 7 * np.arange(n_rows["tax_unit"]) % 60,
            "employment_income": first["employment_income"],
            "hud_annual_income": 9_000.0 * (1 + np.arange(n_rows["spm_unit"]) % 9),
            "spm_unit_size": np.bincount(source.membership.person_unit["spm_unit"]),
            "spm_unit_tenure_type": first["spm_unit_tenure_type"].astype("S"),
        }
    )
    reports = ("receives_housing_assistance", "has_medicaid_health_coverage_at_interview", UNKNOWN)
    values |= {name: first[name] for name in reports if name in first}
    snapshot = SourceSnapshot(
        year=source.year,
        n_rows=n_rows,
        membership=source.membership,
        columns=tuple(columns),
        matrices={name: np.stack(stacked) for name, stacked in rows.items()},
        vocabularies=vocabularies,
        excluded=tuple(excluded),
        reflecting=(),
        household_id=source.ids[HOUSEHOLD],
        values=values,
        county_fips=COUNTIES,
        county_name=np.array([f"COUNTY_{code:05d}".encode() for code in COUNTIES]),
        income_limits=IncomeLimits(COUNTIES, 15_000.0 + 6_000 * np.arange(8) + COUNTIES[:, None] % 7 * 2_000),
        versions={"policyengine-us": "none", "policyengine-core": "none"},
        notes=source.notes,
        source_sha256=sha256_of(source.path),
        source_bytes=source.path.stat().st_size,
        state_values=(StateValues(MEDICAID_COST, STATE_COST),)
        if medicaid_cost == "state_average" and MEDICAID_COST not in source.periods
        else (),
    )
    return sealed(snapshot)


def own_snapshot_without_model(
    source: SourceDataset, rules: VariableRules, medicaid_cost: MedicaidCost = "state_average"
) -> SourceSnapshot:
    """Has the signature of :func:`local_h5.prepared.steps.own_snapshot`."""
    made = snapshot_without_model(source, rules, (), medicaid_cost, places=OWN_COLUMNS)
    excluded = [item for item in made.excluded if "package" not in item.reason]
    excluded += [Excluded(key, "a key of the dataset that is no entity's table") for key in source.other_keys]
    return replace(made, membership=keep_ids(source.path, source.membership, source.ids), excluded=tuple(excluded))
