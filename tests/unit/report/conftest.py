"""A tiny run validated at the level of targets, with one district broken after it was built."""

import pytest
from validation_world import FakeModel, Run, make_run, with_validation, write_database

from local_h5.contracts.records import write_record
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.validation.targets.loaded_area import AreaFile
from local_h5.validation.targets.run import TargetRun

WHERE = {
    "AK-01": "congressional_district_geoid==201", "CA-34": "congressional_district_geoid==634",
    "NC-01": "congressional_district_geoid==3701", "NC-12": "congressional_district_geoid==3712",
    "NC": "state_fips==37", "CA": "state_fips==6", "US": "",
}  # fmt: skip


def validate(run: Run, truth: Run | None = None) -> Run:
    """Validate every area against the persons and incomes of another run (itself by default), and save the records."""
    run = with_validation(run, level="targets")
    targets: list[tuple[str, list[tuple[str, str, str]], float | None]] = []
    for area_id, where in WHERE.items():
        place = [(where.partition("==")[0], "==", where.partition("==")[2])] if where else []
        source = truth or run
        area = AreaFile.read(source.path(area_id), read_sidecar(sidecar_path(source.path(area_id))))
        weight = area.weight[area.household_of("person")]
        income = float(weight @ area.values("employment_income"))
        targets += [
            ("employment_income_before_lsr", place, income),
            ("person_count", [*place, ("age", ">", "17")], float(weight[area.values("age") > 17].sum())),
        ]
    database = write_database(run.folder / "targets.db", targets)
    target_run = TargetRun.open(run.settings, database)
    for part in (0, 1):
        target_run.simulate_part(part, FakeModel)
    for request in run.settings.requests:
        if run.settings.layout.output(request).is_file():
            path = run.settings.layout.record("targets", request)
            write_record(path, target_run.validate(request))
    run.save_config()
    return run


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return validate(make_run(tmp_path_factory.mktemp("sound")))


@pytest.fixture(scope="session")
def broken(sound: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One district's file was broken after it was built."""
    run = make_run(tmp_path_factory.mktemp("broken"))
    run.edit("NC-01", "household_weight", lambda v: v * 10)
    return validate(run, sound)


@pytest.fixture(scope="session")
def wrong_inputs(sound: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The weights of one district's clones are ten times too large."""
    run = make_run(tmp_path_factory.mktemp("wrong"), scale={"NC-01": 10})
    return validate(run, sound)
