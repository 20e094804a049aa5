"""Load the source dataset in the model once and keep what later steps need as plain arrays."""

import argparse
import json
from pathlib import Path
from typing import get_args

from local_h5.missing import MissingRules
from local_h5.model import MedicaidCost
from local_h5.prepare import load_variable_rules, prepare_snapshot
from local_h5.source import read_source
from local_h5.takeup.programmes import load_programmes
from local_h5.workflow.command import run


def prepare_source_snapshot(
    path_to_dataset: Path,
    path_to_variables: Path,
    path_to_programmes: Path,
    path_to_snapshot: Path,
    sha256: str | None = None,
    missing: MissingRules | None = None,
    medicaid_cost: MedicaidCost = "state_average",
) -> None:
    """Write the source snapshot; the only prepare step that imports the model.

    Args:
        path_to_dataset: PolicyEngine period-grouped H5.
        path_to_variables: which variables are not written (``config/variables.yaml``).
        path_to_programmes: list of take-up programmes; decides which model values are computed.
        path_to_snapshot: array file to write.
        sha256: digest that the dataset must have.
        missing: what to take for codes that say "missing".
        medicaid_cost: ``state_average`` or ``model``.

    Assumes:
        The installed ``policyengine_us`` is the one that will read the files.
    """
    source = read_source(path_to_dataset, sha256=sha256, missing=missing)
    rules = load_variable_rules(path_to_variables)
    prepare_snapshot(source, rules, load_programmes(path_to_programmes), medicaid_cost).write(path_to_snapshot)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="source dataset H5")
    parser.add_argument("--variables", type=Path, required=True, help="variables that are not written (YAML)")
    parser.add_argument("--programmes", type=Path, required=True, help="take-up programmes (YAML)")
    parser.add_argument("--output", type=Path, required=True, help="array file to write")
    parser.add_argument("--sha256", help="digest that the dataset must have")
    parser.add_argument("--missing", default="{}", help="inputs.missing of the configuration, as JSON")
    parser.add_argument("--medicaid-cost", choices=get_args(MedicaidCost), default="state_average")
    args = parser.parse_args()
    missing = MissingRules.from_config(json.loads(args.missing))
    prepare_source_snapshot(
        args.dataset, args.variables, args.programmes, args.output, args.sha256 or None, missing, args.medicaid_cost
    )


if __name__ == "__main__":
    run(main)
