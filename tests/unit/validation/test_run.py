"""Validation of a run at the level of targets: few runs, exact splits, and every field of the policy."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from joins import unit_rows
from validation_world import FakeModel, Run, copy_of, make_run, with_validation, write_database

from local_h5.contracts.records import ValidationRecord, read_record, refusals, write_record
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.files.arrays import open_arrays
from local_h5.validation.targets import run as run_module
from local_h5.validation.targets.database import TargetDatabase
from local_h5.validation.targets.loaded_area import AreaFile
from local_h5.validation.targets.run import TargetRun

PLACES = {
    "AK-01": ("congressional_district_geoid", "==", "201"),
    "NC-01": ("congressional_district_geoid", "==", "3701"),
    "NC-12": ("congressional_district_geoid", "==", "3712"),
    "NC": ("state_fips", "==", "37"),
    "CA": ("state_fips", "==", "6"),
}
KINDS: list[tuple[str, list[tuple[str, str, str]]]] = [
    ("person_count", [("age", ">", "17"), ("age", "<", "65")]),
    ("household_count", [("snap", ">", "0")]),
    ("snap", []),
    ("employment_income_before_lsr+income_tax", []),
]


@pytest.fixture(scope="module")
def shared(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run for tests that change nothing but the policy and the targets: its values are calculated once."""
    return copy_of(finished, tmp_path_factory.mktemp("shared"))


def by_hand(path: Path) -> dict[str, float]:
    """The targets of a file, by loops over its rows."""
    return _by_hand(path, path.stat().st_mtime_ns)


@cache
def _by_hand(path: Path, _: int) -> dict[str, float]:
    with h5py.File(path) as file:
        data = {name: file[name][next(iter(file[name]))][()] for name in file}
        households, spm_units = unit_rows(file, "household"), unit_rows(file, "spm_unit")
    weight = data["household_weight"].astype(float)
    units: dict[int, list[int]] = {}
    for person, unit in enumerate(spm_units):
        units.setdefault(int(unit), []).append(person)
    income = data["employment_income"].astype(float)
    counts = {kind[0]: 0.0 for kind in KINDS}
    recipients = set()
    for unit, members in units.items():
        household = households[members[0]]
        snap = max(20_000 - sum(income[m] for m in members), 0) * data["takes_up_snap_if_eligible"][unit]
        counts["snap"] += weight[household] * snap
        if snap > 0:
            recipients.add(household)
    counts["household_count"] = sum(weight[household] for household in recipients)
    for person, household in enumerate(households):
        if 17 < data["age"][person] < 65:
            counts["person_count"] += weight[household]
        counts[KINDS[3][0]] += weight[household] * income[person] * 1.1
    return counts


def targets_of(run: Run, factor: float = 1.0) -> list[tuple[str, list[tuple[str, str, str]], float]]:
    rows = []
    for area, place in (*PLACES.items(), ("US", None)):
        values = by_hand(run.path(area))
        rows += [(name, [*([place] if place else []), *who], values[name] * factor) for name, who in KINDS]
    return rows


def opened(run: Run, targets: Any = None, **policy: Any) -> TargetRun:
    path = write_database(run.folder / "targets.db", targets_of(run) if targets is None else targets)
    return TargetRun.open(with_validation(run, level="targets", **policy).settings, path)


def simulated(target_run: TargetRun, model: FakeModel | None = None) -> FakeModel:
    model = model or FakeModel()
    for part in range(target_run.settings.config.validation.processes):
        target_run.simulate_part(part, lambda: model)
    return model


def validated(run: Run, area: str, targets: Any = None, **policy: Any) -> ValidationRecord:
    target_run = opened(run, targets, **policy)
    simulated(target_run)
    record = target_run.validate(run.request(area))
    record.to_json()
    return record


def test_values_are_those_of_a_count_by_hand(run: Run) -> None:
    target_run = opened(run)
    simulated(target_run)
    for area in (*PLACES, "US"):
        record = target_run.validate(run.request(area))
        expected = by_hand(run.path(area))
        assert record.status == "passed", record.summary
        assert len(record.targets) == len(KINDS)
        for row in record.targets:
            assert row.value == pytest.approx(expected[row.variable], rel=1e-5)
            assert abs(row.relative_error or 0) < 1e-5


def test_every_household_is_calculated_once(run: Run) -> None:
    target_run = opened(run)
    model = simulated(target_run)
    states = ("AK", "CA", "DC", "NC")
    rows = sum(read_sidecar(sidecar_path(run.path(state))).rows["person"] for state in states)
    assert (model.runs, model.persons) == (2, rows)  # two processes, one run each: no district, no nation
    values = target_run.settings.results / "validation" / "values"
    assert {path.parent.name for path in values.rglob("*.h5")} == {"states"}


def test_nothing_is_calculated_twice(run: Run) -> None:
    target_run = opened(run)
    simulated(target_run)

    def never() -> FakeModel:
        raise AssertionError("the model was started")

    assert target_run.simulate_part(0, never).reused > 0
    for area in ("NC-01", "NC", "US"):
        run.edit(area, "household_weight", lambda v: v * 2)
    assert target_run.simulate_part(1, never).baseline == 0  # weights change no household's values
    run.edit("NC", "age", lambda v: v + 1)
    model = simulated(target_run)
    assert model.persons >= read_sidecar(sidecar_path(run.path("NC"))).rows["person"]


def test_chunks_change_nothing(run: Run) -> None:
    whole = opened(run)
    simulated(whole)
    expected = [row.value for row in whole.validate(run.request("US")).targets]
    for path in (whole.settings.results / "validation" / "values").rglob("*.h5"):
        path.unlink()
    chunked = opened(run, persons_per_run=1000)
    tasks = list(chunked._tasks(0)) + list(chunked._tasks(1))
    from local_h5.validation.targets.simulate import simulate

    model = FakeModel()
    runs = simulate(tasks, chunked.wanted, lambda: model, persons_per_run=3)
    assert runs.baseline == model.runs > len(tasks)
    assert [row.value for row in chunked.validate(run.request("US")).targets] == pytest.approx(expected)


def test_households_that_differ_from_their_states_are_calculated_alone(tmp_path: Path) -> None:
    """With rates adjusted within each file, some units take up in the district's file and not in the state's."""
    run = make_run(tmp_path, scope="area")
    for name in ("takes_up_snap_if_eligible", "takes_up_medicaid_if_eligible"):
        run.edit("NC-01", name, lambda v: ~v if v.size == 1 else np.append(~v[:1], v[1:]))
    target_run = opened(run)
    model = simulated(target_run)
    own = target_run.values_path(run.request("NC-01"))
    assert own.is_file()
    states = sum(read_sidecar(sidecar_path(run.path(s))).rows["person"] for s in ("AK", "CA", "DC", "NC"))
    district = read_sidecar(sidecar_path(run.path("NC-01"))).rows["person"]
    assert (
        states
        < model.persons
        < states
        + sum(
            read_sidecar(sidecar_path(run.path(a))).rows["person"]
            for a in ("AK-01", "CA-34", "DC-01", "NC-01", "NC-12", "US")
        )
    )
    assert district > 0
    record = target_run.validate(run.request("NC-01"))
    expected = by_hand(run.path("NC-01"))
    assert [row.value for row in record.targets] == pytest.approx([expected[row.variable] for row in record.targets])


def of_other_clones(run: Run, area_id: str, entities: Sequence[str], units: int | None = None) -> None:
    """Give units of a file (the first ones, or all) and whoever is in them the ids of clones that no file has."""
    rows = read_sidecar(sidecar_path(run.path(area_id))).source_rows
    with h5py.File(run.path(area_id), "r+") as file:
        for entity in entities:
            changed = file[f"{entity}_id/2024"][:units]
            for name in {f"{entity}_id", f"person_{entity}_id"} - {"person_person_id"}:
                ids = file[f"{name}/2024"][()]
                file[f"{name}/2024"][...] = ids + 3 * rows[entity] * np.isin(ids, changed)
    run.match_sidecar(area_id)


def test_values_are_taken_over_only_where_ids_agree(run: Run) -> None:
    """The same households as clones of other numbers: the model may give them other values."""
    target_run = opened(run)
    persons = simulated(target_run).persons
    of_other_clones(run, "NC-01", list(target_run.entities))
    model = simulated(target_run)
    assert model.persons == read_sidecar(sidecar_path(run.path("NC-01"))).rows["person"] < persons
    record = target_run.validate(run.request("NC-01"))
    expected = by_hand(run.path("NC-01"))
    assert [row.value for row in record.targets] == pytest.approx([expected[row.variable] for row in record.targets])


@pytest.mark.parametrize("entity", ["person", "tax_unit"])
def test_a_household_with_one_other_id_is_calculated_alone(run: Run, entity: str) -> None:
    target_run = opened(run)
    simulated(target_run)
    with h5py.File(run.path("NC-01")) as file:
        household = unit_rows(file, "household")
    of_other_clones(run, "NC-01", [entity], units=1)
    assert simulated(target_run).persons == np.count_nonzero(household == household[0]) < len(household)
    assert target_run.validate(run.request("NC-12")).status == "passed"


def test_a_nation_with_rows_of_its_own_gets_its_own_run(run: Run) -> None:
    run.edit("US", "age", lambda v: v + 1)
    target_run = opened(run)
    simulated(target_run)
    assert target_run.values_path(run.request("US")).is_file()
    record = target_run.validate(run.request("US"))
    expected = by_hand(run.path("US"))
    assert [row.value for row in record.targets] == pytest.approx([expected[row.variable] for row in record.targets])


def test_reform_targets_cost_runs_of_their_own_and_are_counted_apart(run: Run) -> None:
    target_run = opened(run, [("reform:salt_deduction", [], 100.0), ("income_tax", [], 100.0)], max_rel_abs_error=1e9)
    model = FakeModel()
    runs = [target_run.simulate_part(part, lambda: model) for part in (0, 1)]
    assert [(item.baseline, item.reform) for item in runs] == [(1, 1), (1, 1)]
    reform, tax = target_run.validate(run.request("US")).targets
    with h5py.File(run.path("US")) as file:
        weight, household = file["household_weight/2024"][()], unit_rows(file, "household")
        owner = np.zeros(len(file["tax_unit_id/2024"]), int)
        owner[unit_rows(file, "tax_unit")] = household
    assert reform.value == pytest.approx(7.0 * weight[owner].sum())
    assert (reform.reform, tax.reform) == (1, 0)


def test_values_of_other_files_are_an_error_and_no_pass(run: Run) -> None:
    target_run = opened(run)
    simulated(target_run)
    run.edit("NC", "age", lambda v: v + 1)
    record = target_run.validate(run.request("NC"))
    assert (record.status, record.targets) == ("error", ())
    assert "Run the simulation" in record.messages[0]
    assert record.blocking


def test_a_file_that_the_model_refuses_is_an_error_of_that_file_alone(run: Run) -> None:
    run.edit("CA", "age", lambda v: np.append(v[:-1], 99).astype(v.dtype))
    target_run = opened(run)
    problems: dict[str, str] = {}
    for part in (0, 1):
        problems |= target_run.simulate_part(part, FakeModel).problems
    assert set(problems) == {"states/CA.h5"}
    record = target_run.validate(run.request("CA"))
    assert record.status == "error"
    assert "a person of 99" in record.messages[0]
    assert record.to_json()["issues"][0]["phase"] == "validate"
    assert target_run.validate(run.request("NC")).status == "passed"


def test_an_error_blocks_even_when_everything_only_warns(run: Run) -> None:
    run.path("NC-01").write_bytes(b"no HDF5")
    record = validated(
        run,
        "NC-01",
        [("snap", [PLACES["NC-01"]], 1.0)],
        on_failure=dict.fromkeys(("structural", "sanity", "targets"), "warn"),
    )
    assert record.status == "error"
    assert record.blocking


# ---- many areas, and states that are missing


def test_areas_checked_together_are_checked_as_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And each state's file and values are read once for all of its districts."""
    target_run = opened(run)
    simulated(target_run)
    requests = [request for request in run.settings.requests if run.settings.layout.output(request).is_file()]
    alone = {request: target_run.validate(request) for request in requests}
    files: list[str] = []
    values: list[str] = []
    read_file, read_values = AreaFile.read.__func__, open_arrays  # type: ignore[attr-defined]
    monkeypatch.setattr(
        AreaFile, "read", classmethod(lambda cls, path, result: files.append(path.stem) or read_file(cls, path, result))
    )
    monkeypatch.setattr(run_module, "open_arrays", lambda path, cls: values.append(path.stem) or read_values(path, cls))
    monkeypatch.setattr(TargetDatabase, "read", None)  # it was read when the run was opened
    assert dict(target_run.check(reversed(requests))) == alone
    # NC: for its own check, for its two districts, and for the nation.
    assert (files.count("NC"), values.count("NC")) == (3, 3)


def test_a_file_that_no_target_asks_for_costs_no_model_run(run: Run) -> None:
    run.config["areas"]["custom"] = [
        {"id": "own", "name": "own", "filters": [{"field": "district", "op": "eq", "value": "3701"}]}
    ]
    run.build("own")
    run.edit("own", "age", lambda v: v + 1)
    target_run = opened(run)
    simulated(target_run)
    assert not target_run.values_path(run.request("own")).exists()
    record = target_run.validate(run.request("own"))
    assert (record.status, record.targets, record.issues) == ("skipped", (), ())


@pytest.mark.parametrize("loss", ["missing", "damaged"])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_state_that_is_not_there_stops_no_other(run: Run, loss: str, processes: int) -> None:
    state = run.path("NC")
    if loss == "missing":
        state.unlink()
        sidecar_path(state).unlink()
    else:
        state.write_bytes(state.read_bytes()[:5000])
    target_run = opened(run, targets_of_built(run), processes=processes)
    model = simulated(target_run)
    assert model.runs > 0
    for area in ("CA", "AK-01", "NC-01", "NC-12", "US"):
        assert target_run.validate(run.request(area)).status == "passed", area


def targets_of_built(run: Run) -> list[tuple[str, list[tuple[str, str, str]], float]]:
    """The targets of the areas that are whole."""
    rows = []
    for area, place in (*PLACES.items(), ("US", None)):
        if area != "NC":
            values = by_hand(run.path(area))
            rows += [(name, [*([place] if place else []), *who], values[name]) for name, who in KINDS]
    return rows


def test_a_mistake_of_ours_is_an_error_with_its_traceback_in_the_log(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    target_run = opened(run)
    simulated(target_run)

    def broken(*_: object) -> None:
        raise TypeError("unsupported operand")

    monkeypatch.setattr("local_h5.validation.targets.run.evaluate", broken)
    record = target_run.validate(run.request("NC-01"))
    assert (record.status, bool(record.blocking)) == ("error", True)
    assert "districts/NC-01.h5: TypeError: unsupported operand" in record.messages[0]
    (line,) = caplog.records
    assert line.exc_info is not None
    assert line.exc_info[2] is not None
    assert "Traceback" in caplog.text
    assert "in broken" in caplog.text


# ---- every field of the policy


def test_max_rel_abs_error(shared: Run) -> None:
    assert validated(shared, "NC", targets_of(shared, 1.1), max_rel_abs_error=0.2).summary.n_failing == 0
    assert validated(shared, "NC", targets_of(shared, 1.1), max_rel_abs_error=0.05).summary.n_failing == 4


def test_max_share_failing(shared: Run) -> None:
    rows = [(name, who, value * (2 if name == "snap" else 1)) for name, who, value in targets_of(shared)]
    assert validated(shared, "NC", rows, max_share_failing=0.2).status == "failed"
    record = validated(shared, "NC", rows, max_share_failing=0.3)
    assert (record.status, record.summary.share_failing) == ("passed", 0.25)


def test_min_targets(shared: Run) -> None:
    assert validated(shared, "NC", min_targets=4).status == "passed"
    record = validated(shared, "NC", min_targets=5)
    assert (record.status, record.findings[0].check) == ("failed", "count")


def test_on_failure(shared: Run) -> None:
    react = {"structural": "fail", "sanity": "fail"}
    warned = validated(shared, "NC", targets_of(shared, 3), on_failure={**react, "targets": "warn"})
    failed = validated(shared, "NC", targets_of(shared, 3), on_failure={**react, "targets": "fail"})
    assert (warned.status, warned.blocking) == ("failed", ())
    assert failed.status == "failed"
    assert "fail, more than 20%: " in failed.blocking[0]
    assert "snap -66.7%" in failed.blocking[0]


def test_sanity_ceilings_and_their_severity(shared: Run) -> None:
    loose = {"max_rel_abs_error": 1e9, "max_share_failing": 1.0}
    assert validated(shared, "NC", sanity_ceilings={"snap": 1e12}, **loose).status == "passed"
    record = validated(shared, "NC", sanity_ceilings={"snap": 10.0}, **loose)
    assert [(f.check, f.severity) for f in record.findings] == [("ceiling", "sanity")]
    assert [row.variable for row in record.targets if row.sane is False] == ["snap"]
    assert record.blocking
    others = validated(shared, "NC", sanity_ceilings={"snap": 1e12, "*": 1.0}, **loose)
    assert [row.variable for row in others.targets if row.sane] == ["snap"]
    react = {"structural": "fail", "sanity": "warn", "targets": "warn"}
    assert not validated(shared, "NC", sanity_ceilings={"snap": 10.0}, on_failure=react, **loose).blocking


def test_require_finite_of_simulated_values(run: Run) -> None:
    run.edit("CA", "employment_income", lambda v: np.append(v[:-1], np.inf).astype(v.dtype))
    record = validated(run, "CA", [("employment_income_before_lsr", [PLACES["CA"]], 1.0)])
    assert {(f.check, f.severity) for f in record.findings} >= {("finite", "structural"), ("finite", "sanity")}
    waived = validated(run, "CA", [("employment_income_before_lsr", [PLACES["CA"]], 1.0)], require_finite=False)
    assert "finite" not in {f.check for f in waived.findings}
    assert [(row.value, row.verdict) for row in waived.targets] == [(None, "failed")]


def test_include_and_exclude(shared: Run) -> None:
    def variables(record: ValidationRecord) -> list[str]:
        return [row.variable for row in record.targets]

    assert variables(validated(shared, "NC", include=[{"variable": "snap"}])) == ["snap"]
    assert "snap" not in variables(validated(shared, "NC", exclude=[{"variable": ["snap"]}]))
    record = validated(shared, "NC", include=[{"area_type": "state"}], exclude=[{"variable": "snap", "area_id": "NC"}])
    assert (record.summary.n_targets, record.summary.n_excluded) == (3, 1)
    assert validated(shared, "US", include=[{"area_type": "state"}]).status == "skipped"
    stratum = record.targets[0].stratum
    assert [row.stratum for row in validated(shared, "NC", include=[{"stratum": stratum}]).targets] == [stratum]


def test_what_is_excluded_is_not_calculated(shared: Run) -> None:
    assert "snap" in opened(shared).wanted.variables
    excluded = [{"variable": ["snap", "household_count"]}, {"reform": True}]
    wanted = opened(shared, [*targets_of(shared), ("reform:salt_deduction", [], 1.0)], exclude=excluded).wanted
    assert ("snap" in wanted.variables, wanted.reforms) == (False, ())


@pytest.mark.parametrize("condition", [{"area_type": "state"}, {"variable": "snap"}, {"stratum": 15}])
def test_overrides_of_the_error(shared: Run, condition: Mapping[str, Any]) -> None:
    rows = [(name, who, value * (2 if name == "snap" else 1)) for name, who, value in targets_of(shared)]
    assert [row[0] for row in rows][14] == "snap"
    assert rows[14][1] == [PLACES["NC"]]
    plain = validated(shared, "NC", rows)
    eased = validated(shared, "NC", rows, overrides=[{**condition, "max_rel_abs_error": 0.9}])
    assert (plain.summary.n_failing, eased.summary.n_failing) == (1, 0)
    other = {"area_type": "district", "variable": "snap"}
    assert validated(shared, "NC", rows, overrides=[{**other, "max_rel_abs_error": 0.9}]).summary.n_failing == 1


def test_the_last_override_wins(shared: Run) -> None:
    overrides = [{"variable": "snap", "max_rel_abs_error": 9}, {"area_type": "state", "max_rel_abs_error": 0.01}]
    assert validated(shared, "NC", targets_of(shared, 1.1), overrides=overrides).summary.n_failing == 4
    assert validated(shared, "NC", targets_of(shared, 1.1), overrides=overrides[::-1]).summary.n_failing == 3


def test_overrides_of_shares_and_numbers(shared: Run) -> None:
    rows = [(name, who, value * (2 if name == "snap" else 1)) for name, who, value in targets_of(shared)]
    by_area = [{"area_type": "state", "max_share_failing": 0.5}]
    assert validated(shared, "NC", rows, overrides=by_area).status == "passed"
    assert validated(shared, "US", rows, overrides=by_area).status == "failed"
    by_variable = [*by_area, {"variable": "snap", "max_share_failing": 0.0}]
    assert "variable snap" in validated(shared, "NC", rows, overrides=by_variable).findings[0].message
    by_number = [*by_area, {"variable": "snap", "min_targets": 2}]
    assert validated(shared, "NC", rows, overrides=by_number).findings[0].check == "count"


def test_training_mask(shared: Run) -> None:
    ids = shared.folder / "training.txt"
    ids.write_text("13\n14\n")
    record = validated(shared, "NC", targets_of(shared, 1.1), training=str(ids))
    assert [row.in_training for row in record.targets] == [True, True, False, False]
    assert record.summary.n_training == 2
    assert record.summary.mean_abs_rel_error_holdout is not None
    assert validated(shared, "NC").targets[0].in_training is None


def test_unknown_variables_fail_by_name(shared: Run) -> None:
    record = validated(shared, "NC", [("net_worth", [PLACES["NC"]], 1.0)])
    assert record.status == "failed"
    assert "does not have net_worth" in record.targets[0].reason


def test_a_target_without_a_value_is_not_evaluated(shared: Run) -> None:
    record = validated(shared, "NC", [("snap", [PLACES["NC"]], None)])
    assert (record.targets[0].verdict, record.summary.n_targets) == ("not_evaluated", 0)


def test_the_policy_is_quoted_as_applied(shared: Run) -> None:
    record = validated(shared, "NC", overrides=[{"area_type": "state", "min_targets": 2}], sanity_ceilings={"*": 1e15})
    assert (record.policy.min_targets, record.policy.sanity_ceilings) == (2, {"*": 1e15})
    path = shared.folder / "record.json"
    write_record(path, record)
    assert read_record(path) == record


# ---- what the issue ends with


def test_a_broken_file_fails_alone(run: Run) -> None:
    """household_weight × 10, sidecar made to match."""
    target_run = opened(run)
    run.edit("NC-01", "household_weight", lambda v: v * 10)
    simulated(target_run)
    records = {r.area_id: target_run.validate(r) for r in map(run.request, (*PLACES, "US"))}
    assert {area for area, record in records.items() if record.blocking} == {"NC-01"}
    broken = records["NC-01"]
    assert any("persons, reference" in reason for reason in broken.blocking), broken.blocking
    assert any(finding.check == "share" and "+900.0%" in finding.message for finding in broken.findings)
    sha256 = read_sidecar(sidecar_path(run.path("NC-01"))).output.sha256
    structural = read_record(run.settings.results / "validation" / "structural" / "districts" / "NC-01.json")
    assert "another file" in refusals([structural], sha256)[0]
