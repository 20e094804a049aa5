"""Each structural check finds its damage, and nothing else does."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from msgspec.structs import replace
from validation_world import Run, policy_of, with_validation

from local_h5.contracts.config import Config
from local_h5.contracts.records import read_record
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.validation.structural.common_schema import common_schema
from local_h5.validation.structural.verdict import StructuralPolicy, validate_structure

Damage = Callable[[h5py.File], None]


def check(run: Run, area_id: str) -> tuple[str, set[str]]:
    """Status, and the checks that found something."""
    path = run.path(area_id)
    policy = policy_of(run)
    _, record = validate_structure(path, read_sidecar(sidecar_path(path)), common_schema(run.inputs), policy)
    return record.status, {finding.check for finding in record.findings}


def put(file: h5py.File, name: str, values: np.ndarray, period: str = "2024") -> None:
    del file[name][period]
    file[name][period] = values


def change(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Damage:
    return lambda file: put(file, name, function(file[name]["2024"][()]))


def first(value: object) -> Callable[[np.ndarray], np.ndarray]:
    def replaced(values: np.ndarray) -> np.ndarray:
        values[0] = value
        return values

    return replaced


def swap(values: np.ndarray) -> np.ndarray:
    """The first two that differ change places."""
    other = int(np.flatnonzero(values != values[0])[0])
    values[[0, other]] = values[[other, 0]]
    return values


TABLE_PLACES = ("puma", "zcta", "place_fips", "vtd", "sldu", "sldl", "cbsa_code")


def states(file: h5py.File, code: str) -> np.ndarray:
    return np.full(len(file["household_id/2024"]), code.encode())


def drop(name: str) -> Damage:
    return lambda file: file.__delitem__(name)


def test_a_built_run_passes(finished: Run) -> None:
    for request in finished.settings.requests:
        if finished.settings.layout.output(request).is_file():
            record = read_record(finished.settings.layout.record("structural", request))
            assert (record.status, record.findings, record.blocking) == ("passed", (), ())
            assert read_sidecar(sidecar_path(finished.settings.layout.output(request))).validation.status == "passed"


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (change("person_id", first(7)), {"ids"}),
        (change("person_id", first(0)), {"ids"}),
        (change("person_id", lambda v: np.append(v[1], v[1:])), {"ids"}),  # one id twice
        (change("person_id", swap), {"ids"}),
        (change("household_id", lambda v: v[::-1]), {"ids"}),
        (change("household_id", lambda v: v + 6), {"ids", "links"}),  # of the next clone
        (change("tax_unit_id", lambda v: v[::-1]), {"ids"}),
        (change("spm_unit_id", first(2**31 - 1)), {"links"}),
        (change("person_marital_unit_id", swap), {"links"}),
        (change("person_tax_unit_id", first(-1)), {"links"}),
        (change("person_spm_unit_id", lambda v: np.full_like(v, v.max())), {"links"}),
        (change("household_weight", first(np.nan)), {"weights"}),
        (change("household_weight", first(0)), {"weights"}),
        (change("household_weight", first(-1)), {"weights", "population"}),
        (change("household_weight", lambda v: v * 3), {"weights", "population"}),
        (change("county_fips", first(b"37183")), {"geography"}),
        (change("tract_geoid", first(b"37183000000")), {"geography"}),
        (change("state_fips", first(6)), {"geography"}),
        (change("congressional_district_geoid", first(3702)), {"geography"}),
        (change("block_geoid", first(b"37001020100100x")), {"geography"}),
        *((change(name, first(b"9")), {"geography"}) for name in TABLE_PLACES),
        (change("zip_code", first(b"90001")), {"geography"}),
        (change("county", first(b"COUNTY_06037")), {"geography"}),
        (lambda file: file.create_dataset("state_code/2024", data=states(file, "CA")), {"columns", "geography"}),
        (lambda file: file.create_dataset("state_code_str/2024", data=states(file, "NC")), {"columns"}),
        (drop("puma"), {"columns"}),
        (change("age", lambda v: v[:-1]), {"rows"}),
        (change("age", lambda v: v.astype(np.float64)), {"columns"}),
        (drop("age"), {"columns"}),
        (lambda file: file.create_dataset("extra/2024", data=np.zeros(1)), {"columns"}),
        (lambda file: file["receives_wic"].__delitem__("2024-05"), {"columns"}),
        (change("employment_income", first(np.inf)), {"finite"}),
    ],
)  # fmt: skip
def test_damage_is_found(run: Run, damage: Damage, found: set[str]) -> None:
    with h5py.File(run.path("NC-01"), "r+") as file:
        damage(file)
    status, checks = check(run, "NC-01")
    if found == {"weights"}:  # a weight that is no weight also spoils the sums
        checks -= {"population"}
    assert (status, checks) == ("failed", found)
    assert check(run, "NC")[0] == "passed"


@pytest.mark.parametrize("lost", ["household_weight", "person_household_id", "block_geoid"])
def test_a_file_without_its_backbone_is_an_error_and_no_pass(run: Run, lost: str) -> None:
    with h5py.File(run.path("NC-01"), "r+") as file:
        del file[lost]
    assert check(run, "NC-01")[0] == "error"


def test_a_truncated_file_is_an_error(run: Run) -> None:
    path = run.path("NC-01")
    path.write_bytes(path.read_bytes()[:3000])
    result = read_sidecar(sidecar_path(path))
    judged, record = validate_structure(path, result, common_schema(run.inputs), policy_of(run))
    assert judged.validation.status == record.status == "error"
    assert record.blocking
    assert {issue.phase for issue in judged.issues} == {"validate"}


def test_units_without_adults_fail(run: Run) -> None:
    path = run.path("NC-01")
    result = read_sidecar(sidecar_path(path))
    result = replace(result, checks={**result.checks, "spm_units_without_adult": 2})
    _, record = validate_structure(path, result, common_schema(run.inputs), policy_of(run))
    assert [finding.check for finding in record.findings] == ["adults"]


def test_the_population_is_compared_with_its_reference(run: Run, tmp_path: Path) -> None:
    reference = run.folder / "population.csv"
    persons = read_sidecar(sidecar_path(run.path("NC-01"))).weights.persons
    reference.write_text(f"area_type,area_id,population\ndistrict,NC-01,{persons / 1.04}\n")
    strict = with_validation(run, population={"table": str(reference), "max_rel_error": 0.03})
    loose = with_validation(run, population={"table": str(reference), "max_rel_error": 0.05})
    assert check(strict, "NC-01") == ("failed", {"population"})
    assert check(loose, "NC-01") == ("passed", set())
    assert check(strict, "NC-12") == ("passed", set())  # not in the table


def test_the_tolerance_is_narrow_for_the_example_and_wide_otherwise(finished: Run) -> None:
    config = with_validation(finished, population={"table": None, "max_rel_error": None}).config
    assert StructuralPolicy.from_config(Config.from_json(config).structural).policy.max_population_error == 0.005
    config["inputs"] |= {"weights": "w", "geography": "g", "dataset": "d"}
    assert StructuralPolicy.from_config(Config.from_json(config).structural).policy.max_population_error == 0.05


def test_require_finite_can_be_waived(run: Run) -> None:
    run.edit("NC-01", "employment_income", first(np.nan))
    assert check(run, "NC-01") == ("failed", {"finite"})
    assert check(with_validation(run, require_finite=False), "NC-01") == ("passed", set())


def test_nothing_is_checked_when_validation_is_off(run: Run) -> None:
    run.edit("NC-01", "household_weight", lambda v: v * 10)
    assert check(run, "NC-01")[0] == "failed"
    assert check(with_validation(run, enabled=False), "NC-01") == ("skipped", set())


def test_a_failing_file_has_a_failing_sidecar(run: Run) -> None:
    run.edit("NC-01", "household_weight", lambda v: v * 10)
    path = run.path("NC-01")
    result = read_sidecar(sidecar_path(path))
    judged, record = validate_structure(path, result, common_schema(run.inputs), policy_of(run))
    assert judged.validation.status == "failed"
    assert "population" in judged.validation.summary
    assert [issue.phase for issue in judged.issues] == ["validate"]
    assert record.blocking == tuple(finding.message for finding in record.findings)
    warned = with_validation(run, on_failure={"structural": "warn", "sanity": "fail", "targets": "warn"})
    _, record = validate_structure(path, result, common_schema(run.inputs), policy_of(warned))
    assert (record.status, record.blocking) == ("failed", ())


def test_what_a_verdict_depends_on_is_part_of_the_fingerprint(finished: Run) -> None:
    request = finished.request("NC-01")
    decides = policy_of(finished).decides(request)
    for fields in (
        {"enabled": False},
        {"require_finite": False},
        {"population": {"table": None, "max_rel_error": 0.5}},
        {"on_failure": {"structural": "warn", "sanity": "fail", "targets": "warn"}},
    ):
        other = policy_of(with_validation(finished, **fields))
        assert other.decides(request) != decides
    unrelated = StructuralPolicy.from_config(
        Config.from_json(with_validation(finished, max_rel_abs_error=0.9).config).structural
    )
    assert unrelated.decides(request) == decides


@pytest.mark.parametrize("mistake", [TypeError("unsupported operand"), KeyError("age"), IndexError("out of bounds")])
def test_a_mistake_of_ours_in_a_check_blocks_and_its_traceback_is_logged(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mistake: Exception
) -> None:
    def broken(*_: object) -> None:
        raise mistake

    monkeypatch.setattr("local_h5.validation.structural.verdict.check_structure", broken)
    run.check("NC-01")
    record = read_record(run.settings.layout.record("structural", "districts/NC-01.h5"))
    assert (record.status, bool(record.blocking)) == ("error", True)
    assert f"the structure could not be checked: {type(mistake).__name__}: {mistake}" in record.messages[0]
    assert "Traceback" in caplog.text
    assert "in broken" in caplog.text
