"""From input files to prepared inputs: functions of the prepare scripts and the facade."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from local_h5.areas import check_coverage, read_districts
from local_h5.errors import ConfigError
from local_h5.files import forms
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.blocks import UnknownBlocks, build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.load import load_geography
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.inputs.source import SourceDataset, count_households
from local_h5.prepared.given import VariableRules
from local_h5.prepared.housing import TABLE, VARIABLES, housing_eligibility
from local_h5.prepared.model import MedicaidCost, build_snapshot
from local_h5.prepared.snapshot import SourceSnapshot, sealed
from local_h5.takeup.prepare import CloneGeography, SourceFacts, prepare_takeup
from local_h5.takeup.programmes import Programme, required_eligibility, required_variables
from local_h5.takeup.table import Reported, Scope, Takeup


def load_variable_rules(path: Path) -> VariableRules:
    """Read ``config/variables.yaml``.

    Raises:
        ConfigError: missing, not YAML, or of another form.
    """
    advice = "Correct the path of 'variables' in the configuration, or the file."
    return forms.read_yaml(path, VariableRules, ConfigError, advice)


def prepare_snapshot(
    source: SourceDataset,
    rules: VariableRules,
    programmes: Sequence[Programme],
    medicaid_cost: MedicaidCost = "state_average",
) -> SourceSnapshot:
    """The snapshot of a source with all that the programmes need (imports the model)."""
    needed = required_variables(programmes)
    housing = VARIABLES if TABLE in required_eligibility(programmes) else ()
    snapshot = build_snapshot(
        source,
        rules,
        model_values={variable.variable for variable in needed if not variable.optional} | set(housing),
        reports={variable.variable: variable.entity for variable in needed if variable.optional},
        medicaid_cost=medicaid_cost,
        drawn={programme.variable: programme.entity for programme in programmes},
    )
    drawn = {programme.variable for programme in programmes}  # for every clone: the source's values are replaced
    reflecting = tuple(item for item in snapshot.reflecting if item.variable not in drawn)
    return sealed(replace(snapshot, reflecting=reflecting))


def prepare_geography(
    geography_file: Path,
    dataset: Path,
    tables: BlockTableFiles,
    districts: Path,
    unknown_blocks: UnknownBlocks,
) -> tuple[Geography, BlockTable]:
    """The canonical geography of a package, and the rows of the block tables that it uses.

    Args:
        geography_file: any of the three forms of an exact geography.
        dataset: source dataset; its households are counted.
        tables: the public block tables.
        districts: table of the districts that the geography must have, no more and no fewer.
        unknown_blocks: ``error`` or ``allow``.

    Raises:
        InputError: malformed, misaligned, or of another Congress.
    """
    geography = checked_geography(geography_file, count_households(dataset), tables.block_districts, districts)
    return geography, build_block_table(geography, tables, unknown_blocks)


def checked_geography(geography_file: Path, households: int, block_districts: Path, districts: Path) -> Geography:
    """A geography that has exactly the listed districts. Raises InputError."""
    geography = load_geography(geography_file, households, block_districts)
    present = np.unique(geography.district[geography.block > 0])
    check_coverage(read_districts(districts), present, geography_file)
    return geography


def own_snapshot(
    source: SourceDataset, rules: VariableRules, medicaid_cost: MedicaidCost = "state_average"
) -> SourceSnapshot:
    """The snapshot of a source whose households stay where they are, with their weights (imports the model)."""
    made = build_snapshot(source, rules, model_values=(), reports={}, medicaid_cost=medicaid_cost, own_places=True)
    return sealed(made)


def takeup_from_snapshot(
    snapshot: SourceSnapshot,
    geography: Geography,
    programmes: Sequence[Programme],
    *,
    reported: Reported = "anchor",
    scope: Scope = "clone",
) -> Takeup:
    """The take-up table of a source and a geography. It does not depend on weights and areas.

    Raises:
        InputError: a rate or a needed value is missing.
    """
    # A report that the source does not have is absent, even when the model has a default value for the variable.
    held = {column.variable for column in snapshot.columns} | {item.variable for item in snapshot.excluded}
    absent = {item.variable for item in required_variables(programmes) if item.optional} - held
    values = {name: array for name, array in snapshot.values.items() if name not in absent}
    county = geography.county
    eligible = {}
    if TABLE in required_eligibility(programmes):
        counties = np.unique(county)
        eligible[TABLE] = housing_eligibility(snapshot.values, snapshot.income_limits, counties[counties > 0])
    return prepare_takeup(
        programmes,
        snapshot.year,
        SourceFacts(snapshot.membership, values, eligible),
        CloneGeography(geography.state, county),
        reported=reported,
        scope=scope,
    )
