"""Which records of targets hold: by what they came from, and never by a time."""

import importlib
import os
from pathlib import Path

import pytest
from msgspec.structs import replace
from validation_world import FakeModel, Run, with_validation, write_database

from local_h5.contracts.records import read_record, write_record
from local_h5.contracts.results import sidecar_path
from local_h5.errors import ResultError
from local_h5.files.atomic import write_text
from local_h5.files.digests import DigestMemo
from local_h5.runs.target_records import built_digests, compare_targets, record_basis
from local_h5.validation.targets.run import TargetRun

TARGETS = [("person_count", [("age", ">", "17"), ("state_fips", "==", "37")], 100.0)]
MEMO = DigestMemo(None)


@pytest.fixture
def checked(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose areas were all held against their targets."""
    monkeypatch.chdir(Path(__file__).parents[3])  # the digest of the code looks for the scripts
    run.config["areas"]["cities"] = []  # nobody lives in New York here
    run.config["inputs"]["targets"] = str(write_database(run.folder / "targets.db", TARGETS))
    run = with_validation(run, level="targets")
    settings = run.settings
    target_run = TargetRun.open(settings, settings.target_database)
    for part in (0, 1):
        target_run.simulate_part(part, FakeModel)
    for request in settings.requests:
        record = target_run.validate(request)
        write_record(
            settings.layout.record("targets", request), replace(record, basis=record_basis(settings, request, MEMO))
        )
        write_text(settings.layout.approval(request), "{}")
    return run


def reasons(run: Run) -> dict[str, tuple[str, ...]]:
    return {key: why for key, why in compare_targets(run.settings, MEMO, digests(run)).records.items() if why}


def digests(run: Run) -> dict[str, str | None]:
    return built_digests(run.settings, [request.key for request in run.settings.requests])


def test_everything_is_up_to_date_whatever_the_times(checked: Run) -> None:
    assert reasons(checked) == {}
    for path in checked.settings.results.rglob("*"):
        os.utime(path, (1_600_000_000 + hash(path.name) % 1000,) * 2)
    assert reasons(checked) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"max_rel_abs_error": 0.3}, "policy changed"),
        ({"exclude": [{"area_type": "district"}]}, "policy changed"),
        ({"training": "targets.txt"}, "tables changed"),
    ],
)
def test_another_policy_asks_for_all(checked: Run, change: dict[str, object], reason: str) -> None:
    if "training" in change:
        change = {"training": str(checked.folder / "targets.txt")}
        (checked.folder / "targets.txt").write_text("1\n")
    found = reasons(with_validation(checked, **change))
    assert len(found) == len(checked.settings.requests)
    assert all(reason in why for why in found.values())


def test_how_the_model_is_run_changes_no_record(checked: Run) -> None:
    assert reasons(with_validation(checked, processes=1, persons_per_run=1000)) == {}


def test_another_database_under_an_older_time(checked: Run) -> None:
    path = write_database(checked.folder / "targets.db", [*TARGETS, ("snap", [], 5.0)])
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert all(why == ("targets changed",) for why in reasons(checked).values())
    assert compare_targets(checked.settings, MEMO, digests(checked)).simulations == {0, 1}


def test_another_file_asks_for_its_own_record(checked: Run) -> None:
    checked.edit("NC-01", "household_weight", lambda v: v * 2)
    assert reasons(checked) == {"districts/NC-01.h5": ("file changed",)}


def test_an_error_is_tried_again(checked: Run) -> None:
    settings, request = checked.settings, checked.request("AK")
    record = settings.layout.record("targets", request)
    record.write_text(record.read_text().replace('"status": "failed"', '"status": "error"'))
    record.write_text(record.read_text().replace('"status": "skipped"', '"status": "error"'))
    assert reasons(checked) == {"states/AK.h5": ("could not be checked",)}


def test_a_rebuilt_area_is_checked_again(checked: Run) -> None:
    verdicts = compare_targets(checked.settings, MEMO, {**digests(checked), "states/NC.h5": None})
    assert {key for key, why in verdicts.records.items() if why} == {"states/NC.h5"}


def test_the_script_checks_one_or_many_alike(checked: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path("scripts").resolve()))
    script = importlib.import_module("validate_targets")
    settings = checked.settings
    config = checked.save_config()
    sidecars = tuple(sidecar_path(settings.layout.output(request)) for request in settings.requests)
    expected = [read_record(settings.layout.record("targets", request)) for request in settings.requests]
    for name, groups in {"many": [sidecars], "one": [(path,) for path in sidecars]}.items():
        places = {path: checked.folder / name / f"{number}.json" for number, path in enumerate(sidecars)}
        for group in groups:
            script.validate_targets(config, settings.target_database, group, tuple(places[path] for path in group))
        assert [read_record(path) for path in places.values()] == expected
    with pytest.raises(ResultError, match="records: expected as many as sidecars, 2, found 1"):
        script.validate_targets(config, settings.target_database, sidecars[:2], (checked.folder / "x.json",))
