"""Load the source dataset in the model once, and write the arrays that later steps need."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_h5.files.arrays import write_arrays
from local_h5.inputs.missing import MissingRules
from local_h5.inputs.source import read_source
from local_h5.prepared.model import MedicaidCost
from local_h5.prepared.steps import load_variable_rules, own_snapshot, prepare_snapshot
from local_h5.takeup.programmes import load_programmes
from local_h5.workflow.command import run


def prepare_source_snapshot(
    path_to_dataset: Path,
    path_to_variables: Path,
    path_to_programmes: Path,
    path_to_output: Path,
    sha256: str | None = None,
    missing: Mapping[str, Any] | None = None,
    medicaid_cost: MedicaidCost = "state_average",
    own_places: bool = False,
    year: int | None = None,
    units: Mapping[str, Any] | None = None,
) -> None:
    """Write the source snapshot. No other prepare step imports the model.

    Args:
        path_to_dataset: source dataset, a PolicyEngine period-grouped H5 or tables of entities.
        path_to_variables: variables that are not written (``config/variables.yaml``).
        path_to_programmes: list of take-up programmes (YAML). They decide which model values are computed.
        path_to_output: snapshot to write (array file).
        sha256: digest that the dataset must have.
        missing: values for codes that mean "missing", variable to code to value, as in ``inputs.missing``.
        medicaid_cost: ``state_average``: files have the cost of a person to Medicaid in each state as an input;
            ``model``: they do not, and the model gives every file its state's whole spending.
        own_places: households stay where the dataset has them, with its weights and its take-up.
        year: which one of a dataset of several years.
        units: entity to how its units are made, as in ``inputs.units``.

    Assumes:
        The installed ``policyengine_us`` is the one that will read the files.
    """
    source = read_source(
        path_to_dataset, sha256=sha256 or None, missing=MissingRules.from_config(missing), year=year, units=units
    )
    rules = load_variable_rules(path_to_variables)
    if own_places:
        snapshot = own_snapshot(source, rules, medicaid_cost)
    else:
        snapshot = prepare_snapshot(source, rules, load_programmes(path_to_programmes), medicaid_cost)
    write_arrays(path_to_output, snapshot)


if __name__ == "__main__":
    run(prepare_source_snapshot)
