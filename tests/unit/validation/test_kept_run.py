"""A process that checks one area after the other reads the run and a state once, and notices what changed."""

import json
from pathlib import Path

import numpy as np
import pytest
from validation_world import FakeModel, Run, write_database

from local_h5.contracts.records import ValidationRecord
from local_h5.validation.targets.run import TargetRun


@pytest.fixture
def targets(run: Run) -> Path:
    """A target of NC-01, with the run simulated for it."""
    path = write_database(
        run.folder / "targets.db",
        [("employment_income_before_lsr", [("congressional_district_geoid", "==", "3701")], 1000.0)],
    )
    simulate(run, path)
    return path


def simulate(run: Run, targets: Path) -> None:
    opened = TargetRun.open(run.settings, targets)
    for part in range(run.config["validation"]["processes"]):
        opened.simulate_part(part, FakeModel)


def check(run: Run, targets: Path, area: str = "NC-01") -> ValidationRecord:
    """As one job of a process that stays does it."""
    return TargetRun.read(run.save_config(), targets).validate(run.request(area))


def rewrite(path: Path, content: bytes) -> None:
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def test_the_run_is_kept(run: Run, targets: Path) -> None:
    config = run.save_config()
    assert TargetRun.read(config, targets) is TargetRun.read(config, targets)


def test_it_answers_as_a_run_that_was_just_opened(run: Run, targets: Path) -> None:
    fresh = TargetRun.open(run.settings, targets).validate(run.request("NC-01"))
    assert [check(run, targets), check(run, targets)] == [fresh, fresh]


def test_a_changed_database_is_read(run: Run, targets: Path) -> None:
    (before,) = check(run, targets).targets
    write_database(
        targets, [("employment_income_before_lsr", [("congressional_district_geoid", "==", "3701")], 2000.0)]
    )
    (after,) = check(run, targets).targets
    assert (before.target, after.target) == (1000.0, 2000.0)


def test_a_changed_table_of_districts_is_read(run: Run, targets: Path) -> None:
    config = run.save_config()
    first = TargetRun.read(config, targets)
    table = Path(run.config["areas"]["districts"])
    lines = table.read_text().splitlines(keepends=True)
    rewrite(table, "".join([*lines[:1], *reversed(lines[1:])]).encode())
    assert TargetRun.read(config, targets) is not first


def test_another_configuration_is_read(run: Run, targets: Path) -> None:
    config = run.save_config()
    first = TargetRun.read(config, targets)
    run.config["validation"]["max_share_failing"] = 0.0
    rewrite(config, json.dumps(run.config).encode())
    assert TargetRun.read(config, targets).policy != first.policy


def test_a_state_that_was_built_anew_is_read_anew(run: Run, targets: Path) -> None:
    before = check(run, targets)
    assert not before.issues
    for area in ("NC", "NC-01"):
        run.edit(area, "employment_income", lambda values: values + np.float32(1000))
    (issue,) = check(run, targets).issues
    assert "Run the simulation of the targets again" in issue.message
    simulate(run, targets)
    after = check(run, targets)
    assert not after.issues
    assert after.targets[0].value != before.targets[0].value
