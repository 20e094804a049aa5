"""The last lines of a run: how many areas failed, which, why, and which configuration key decides."""

import json
from collections.abc import Collection
from pathlib import Path

import pytest
from msgspec.structs import replace
from validation_world import Run, copy_of, make_run

from local_h5.config.settings import Settings
from local_h5.contracts.records import Finding, read_record, write_record
from local_h5.workflow.closing import closing, failed_areas, named
from local_h5.workflow.run_log import Failure, RunLog


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which NC-01 has half as many people again as it should; its state and the nation are off with it."""
    return make_run(tmp_path_factory.mktemp("closing"), scale={"NC-01": 1.5})


def failure(rule: str, area: str | None, reason: str = "", log: str | None = None) -> Failure:
    return Failure(rule, area, (Path("nowhere", f"{area}.json"),), reason, None if log is None else Path(log))


def log_of(*failures: Failure, begun: Collection[str] = (), done: int = 0, total: int = 0) -> RunLog:
    log = RunLog()
    log.failures = {(item.rule, item.outputs): item for item in failures}
    log.begun, log.done, log.total = set(begun), done, total
    return log


def refused(settings: Settings) -> list[str]:
    """Areas of the run that the policy does not let be published."""
    return [
        r.name
        for r in settings.requests
        if settings.layout.record("structural", r).is_file()
        and read_record(settings.layout.record("structural", r)).blocking
    ]


def table_of(text: str) -> dict[str, list[str]]:
    """The closing table: first word of each line → its words."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("areas "))
    assert "built now" in lines[start]
    return {line.split()[0]: line.split() for line in lines[start : start + 4]}


def edit_record(settings: Settings, area: str, **changes: object) -> None:
    (request,) = (r for r in settings.requests if r.name == area)
    path = settings.layout.record("structural", request)
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | changes))


def test_areas_with_one_reason_are_one_line_with_the_key(world: Run) -> None:
    areas = refused(world.settings)
    assert "districts/NC-01" in areas
    assert "states/NC" in areas
    log = log_of(*(failure("publish_area", area) for area in areas), done=40, total=52)
    text = closing(world.settings, log, succeeded=False)
    last = text[text.index("FAILED") :].splitlines()
    assert last[0] == (
        f"FAILED: {len(areas)} of {len(world.settings.requests)} areas. "
        "Files that were built are kept, and not published."
    )
    assert last[1].startswith(f"  {len(areas)} areas: population: ")
    assert last[1].endswith("more than 2.0% off (districts/NC-01); validation.population.max_rel_error decides")
    assert "districts NC-01" in last[2]
    assert last[-1] == "40 of 52 jobs are done. The same command again goes on from here."
    assert "Next:" not in text


def test_reasons_stand_apart_and_the_most_frequent_comes_first(world: Run, tmp_path: Path) -> None:
    run = copy_of(world, tmp_path)
    settings = run.settings
    paths = {r.name: settings.layout.record("structural", r) for r in settings.requests}
    for area, finding in (
        ("districts/NC-01", Finding("finite", "structural", "rent/2024: 3 values", 3, "validation.require_finite")),
        ("states/AK", Finding("ids", "structural", "person_id: not 0…3 in order", 1)),
    ):
        record = read_record(paths[area])
        write_record(paths[area], replace(record, status="failed", findings=(*record.findings, finding)))
    areas = [*refused(world.settings), "states/AK"]
    groups = failed_areas(settings, [failure("publish_area", area) for area in areas])
    assert [(g.check, len(g.areas), g.key) for g in groups] == [
        ("population", len(areas) - 1, "validation.population.max_rel_error"),
        ("finite", 1, "validation.require_finite"),
        ("ids", 1, "validation.on_failure.structural"),
    ]
    assert groups[1].line == "1 area: finite: rent/2024: 3 values; validation.require_finite decides"


def test_an_error_of_a_check_blocks_without_a_key(world: Run, tmp_path: Path) -> None:
    run = copy_of(world, tmp_path)
    edit_record(
        run.settings, "states/AK", status="error", findings=[], issues=[{"phase": "validate", "message": "torn"}]
    )
    (group,) = failed_areas(run.settings, [failure("publish_area", "states/AK")])
    assert group.line == "1 area: error: torn"


def test_an_area_that_was_not_built_says_what_its_job_said(world: Run) -> None:
    failed = failure("build_area", "districts/NC-01", "inputs/x: expected 7, found 8", "results/logs/x.log")
    text = closing(world.settings, log_of(failed, begun=["districts/NC-01", "states/NC"]), succeeded=False)
    assert "  1 area: build_area: inputs/x: expected 7, found 8 [results/logs/x.log]" in text
    assert "kept, and not published" not in text
    assert table_of(text)["states"][2:4] == ["1", "0"]  # built now, failed
    assert table_of(text)["districts"][2:4] == ["0", "1"]


def test_a_step_and_an_interrupt_have_lines_of_their_own(world: Run) -> None:
    step = failure("prepare_clones", None, "w.npy: expected 7", "results/logs/prepare/clones.log")
    text = closing(world.settings, log_of(step), succeeded=False)
    assert "\nerror: prepare_clones failed: w.npy: expected 7 [results/logs/prepare/clones.log]" in text
    stopped = closing(world.settings, log_of(done=3, total=9), succeeded=False)
    assert "STOPPED before all was done.\n3 of 9 jobs are done." in stopped


def test_a_run_that_ends_well_says_what_it_built_and_where_the_report_is(world: Run) -> None:
    text = closing(world.settings, log_of(begun=["districts/NC-01", "districts/AK-01"]), succeeded=True)
    table = table_of(text)
    assert "failed" not in " ".join(table["areas"])
    assert (table["national"][2], table["districts"][2]) == ("0", "2")
    assert f"make report (or local-h5 report) writes {world.settings.results}/validation/report.html" in text
    assert "FAILED" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_a_narrow_screen_shows_fewer_columns_and_wraps_no_row(world: Run, width: int) -> None:
    text = closing(world.settings, log_of(), succeeded=True, width=width)
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("areas "))
    assert all(name in lines[start] for name in ("areas", "files", "built now", "largest gap"))
    assert ("job s" in lines[start]) == (width > 100)
    assert [line.split()[0] for line in lines[start : start + 4]] == ["areas", "national", "states", "districts"]
    assert all(len(line) <= max(width, 75) for line in lines[start : start + 4])


def test_many_areas_are_counted_not_listed() -> None:
    areas = [f"districts/CA-{number:02d}" for number in range(1, 53)] + ["states/CA", "national/US"]
    assert named(areas) == (
        "national US; states CA; districts CA-01, CA-02, CA-03, CA-04, CA-05, CA-06, CA-07, CA-08 and 44 more"
    )
