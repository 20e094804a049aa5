"""Areas in one process: the workflow's bytes, and each failure alone."""

import doctest
import json
import shutil
import weakref
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from worker_world import Prepared, coded_run, write_prepared

import build_area
import local_h5.worker
from local_h5.build import writer
from local_h5.config.layout import Layout
from local_h5.contracts.config import Config
from local_h5.contracts.results import Fingerprint, read_sidecar, sidecar_path
from local_h5.contracts.schemas import load_schema
from local_h5.errors import ConfigError, PreparedError, RequestError
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.work_items import fingerprints_here
from local_h5.validation.structural.verdict import StructuralPolicy
from local_h5.worker import AreaOutcome, WorkerState, WorkItem, WorkResult, area_job, read_items, run_areas, write_items

NC_01 = AreaBuildRequest("district", "NC-01", "NC-01", (AreaFilter("district", "eq", ("3701",)),))
AK_01 = AreaBuildRequest("district", "AK-01", "AK-01", (AreaFilter("district", "eq", ("0201",)),))
UNKNOWN = AreaBuildRequest("custom", "unknown", "?", (AreaFilter("county", "eq", ("37991",)),))
EMPTY = AreaBuildRequest("custom", "empty", "?", (*NC_01.filters, *(AreaFilter("state", "eq", ("02",)),)))
ELSEWHERE = AreaBuildRequest("custom", "elsewhere", "?", NC_01.filters, "national")
MARK = Fingerprint("ab" * 32, {"code": "cd" * 32})


def digests(folder: Path) -> dict[str, str]:
    """Path → sha256 of everything below a folder but the prepared files."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: sha256(path.read_bytes()).hexdigest() for name, path in found.items() if not name.startswith("prepared")
    }


def edit(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def without_sidecar(folder: Path) -> dict[str, str]:
    """The file of a record as older versions wrote it."""
    area: dict[str, str] = json.loads((folder / "validation/structural/districts/NC-01.json").read_text())["area"]
    del area["sidecar_sha256"]
    return area


def run(prepared: Prepared, folder: Path, *items: WorkItem, **options: Any) -> tuple[AreaOutcome, ...]:
    return run_areas(items, prepared.state, folder, **options).outcomes


def test_files_are_those_of_the_area_jobs(prepared: Prepared, tmp_path: Path) -> None:
    results, state = prepared.results, prepared.state
    here = fingerprints_here(state)
    requests = [prepared.request(name) for name in ("US", "NC", "NC-01", "CA-34")]
    done = run_areas([WorkItem(request) for request in requests], state, tmp_path / "worker", fingerprint_of=here)
    assert [outcome.status for outcome in done.outcomes] == ["completed"] * 4
    jobs = tmp_path / "jobs"
    package = results / "prepared" / "regional"
    for request, outcome in zip(requests, done.outcomes, strict=True):
        mark = here(request)
        order = tmp_path / "order.json"
        fingerprint = {"digest": mark.digest, "components": dict(mark.components)}
        order.write_text(json.dumps({"request": request.to_json(), "fingerprint": fingerprint}))
        h5 = jobs / request.relative_path
        build_area.build_area_file(
            order,
            results / "prepared" / "source_snapshot.h5",
            *(package / f"{name}.h5" for name in ("blocks", "clones", "takeup")),
            h5,
            results / "prepared" / "config.json",
            Layout(jobs).record("structural", request),
        )
        assert (outcome.path, outcome.bytes) == (request.key, h5.stat().st_size)
        assert outcome.sha256 == sha256(h5.read_bytes()).hexdigest()
        assert outcome.rows == read_sidecar(sidecar_path(h5)).rows
        assert outcome.validation is not None
        assert outcome.validation.status == "passed"
    assert digests(tmp_path / "worker") == digests(jobs)
    assert len(digests(jobs)) == 3 * len(requests)


def test_a_failing_area_stops_no_other(prepared: Prepared, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[str, int, int]] = []

    def progress(outcome: AreaOutcome, number: int, total: int) -> None:
        seen.append((outcome.key, number, total))

    items = [WorkItem(request) for request in (UNKNOWN, NC_01, EMPTY, ELSEWHERE, AK_01)]
    result = run_areas(items, prepared.state, tmp_path, progress=progress)
    assert [(o.status, o.phase, o.error) for o in result.outcomes] == [
        ("failed", "request", "RequestError"),
        ("completed", None, None),
        ("failed", "select", "EmptySelectionError"),
        ("failed", "request", "RequestError"),
        ("completed", None, None),
    ]
    for outcome, part in zip(result.failed, ("unknown 37991", "none of", "one of regional"), strict=True):
        assert part in (outcome.message or "")
    assert seen == [(item_key(item), number, 5) for number, item in enumerate(items, start=1)]
    assert sorted(path.name for path in tmp_path.rglob("*.h5")) == ["AK-01.h5", "NC-01.h5"]
    assert WorkResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert result.to_json()["counts"] == {"completed": 2, "failed": 3, "skipped": 0}
    assert capfd.readouterr() == ("", "")


def item_key(item: WorkItem) -> str:
    return f"{item.request.area_type}:{item.request.area_id}"


def raising(error: BaseException, at: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """``real``, but raising for the area ``at``."""

    def replaced(*args: Any, **options: Any) -> Any:
        if at in str(args[0]):
            raise error
        return real(*args, **options)

    return replaced


@pytest.mark.parametrize(
    ("function", "error", "phase", "message"),
    [
        ("build_area", ZeroDivisionError("division\nby zero"), "build", "Error: division by zero (test_service.py:"),
        ("build_area", MemoryError(), "build", "not enough memory for it. Give the worker more memory"),
        ("build_area", MemoryError("array of 9 TiB"), "build", "not enough memory for it: array of 9 TiB. Give"),
        ("validate_structure", RuntimeError("odd"), "validate", "RuntimeError: odd"),
        ("write_sidecar", PermissionError(13, "no"), "write", "PermissionError"),
    ],
)
def test_a_mistake_of_ours_is_that_area_s_failure(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: Exception, phase: str,
    message: str,
) -> None:  # fmt: skip
    run(prepared, tmp_path, WorkItem(NC_01, MARK))
    before = digests(tmp_path)
    monkeypatch.setattr(area_job, function, raising(error, "NC-01", getattr(area_job, function)))
    failed, other = run(prepared, tmp_path, WorkItem(NC_01), WorkItem(AK_01))
    assert (failed.status, failed.phase, failed.error) == ("failed", phase, type(error).__name__)
    assert message in (failed.message or "")
    assert "\n" not in (failed.message or "")
    assert other.status == "completed"
    left = {name: digest for name, digest in digests(tmp_path).items() if "NC-01.h5" in name}
    # Either what was there before, both of it, or nothing.
    assert left == ({} if phase != "build" else {name: d for name, d in before.items() if "NC-01.h5" in name})


def test_what_an_area_held_is_released_before_the_next(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def build_area(*args: Any, **options: Any) -> None:
        assert [array() for array in held] == [None] * len(held)
        array = np.empty(10)
        held.append(weakref.ref(array))
        raise MemoryError

    monkeypatch.setattr(area_job, "build_area", build_area)
    outcomes = run(prepared, tmp_path, WorkItem(NC_01), WorkItem(AK_01))
    assert [outcome.error for outcome in outcomes] == ["MemoryError"] * 2
    assert len(held) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_must_end_the_process_ends_it(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    items = (WorkItem(NC_01, MARK), WorkItem(AK_01, MARK))
    with monkeypatch.context() as patched:
        patched.setattr(writer, "sha256_of", raising(error, "AK-01", writer.sha256_of))  # the temporary file is there
        with pytest.raises(type(error)):
            run(prepared, tmp_path, *items)
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".tmp"]
    assert [outcome.status for outcome in run(prepared, tmp_path, *items)] == ["skipped", "completed"]


def test_no_file_can_be_written(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "districts").write_text("a file, not a folder")
    failed, other = run(prepared, tmp_path, WorkItem(NC_01), WorkItem(replace(AK_01, area_type="custom")))
    assert (failed.status, failed.phase, failed.error) == ("failed", "write", "WriteError")
    assert other.status == "completed"


def test_what_is_there_and_right_is_skipped(prepared: Prepared, tmp_path: Path) -> None:
    item = WorkItem(NC_01, MARK)
    h5 = tmp_path / NC_01.relative_path
    (first,) = run(prepared, tmp_path, item)
    written = h5.stat().st_mtime_ns
    (again,) = run(prepared, tmp_path, item)
    assert again == replace(first, status="skipped", seconds=again.seconds)
    assert h5.stat().st_mtime_ns == written
    (forced,) = run(prepared, tmp_path, item, rebuild=True)
    assert forced.status == "completed"
    (unsaid,) = run(prepared, tmp_path, WorkItem(NC_01))
    assert unsaid.status == "completed"


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "districts/NC-01.h5").unlink(),
        lambda folder: (folder / "districts/NC-01.h5").open("ab").write(b"x"),
        lambda folder: (folder / "districts/NC-01.h5.result.json").unlink(),
        lambda folder: (folder / "districts/NC-01.h5.result.json").write_text("{}"),
        lambda folder: (folder / "validation/structural/districts/NC-01.json").unlink(),
        lambda folder: edit(folder / "districts/NC-01.h5.result.json", "notes", {"licence": "CC0-1.0"}),
        lambda folder: edit(folder / "districts/NC-01.h5.result.json", "checks", {}),
        lambda folder: edit(folder / "validation/structural/districts/NC-01.json", "area", without_sidecar(folder)),
    ],
    ids=[
        "no file",
        "other bytes",
        "no sidecar",
        "other sidecar",
        "no record",
        "other notes",
        "no checks",
        "older record",
    ],
)
def test_what_is_not_right_is_built_again(prepared: Prepared, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    item = WorkItem(NC_01, MARK)
    run(prepared, tmp_path, item)
    before = digests(tmp_path)
    damage(tmp_path)
    assert digests(tmp_path) != before
    assert run(prepared, tmp_path, item)[0].status == "completed"
    assert digests(tmp_path) == before


def test_another_fingerprint_or_request_is_built_again(prepared: Prepared, tmp_path: Path) -> None:
    run(prepared, tmp_path, WorkItem(NC_01, MARK))
    other = Fingerprint("ef" * 32, MARK.components)
    assert run(prepared, tmp_path, WorkItem(NC_01, other))[0].status == "completed"
    assert run(prepared, tmp_path, WorkItem(replace(NC_01, display_name="x"), other))[0].status == "completed"


def test_a_plan_made_elsewhere_is_refused(prepared: Prepared, tmp_path: Path) -> None:
    here = fingerprints_here(prepared.state)
    right = here(NC_01)
    planned = Fingerprint("ef" * 32, {**right.components, "versions": "0" * 64, "code": "1" * 64})
    failed, other = run(prepared, tmp_path, WorkItem(NC_01, planned), WorkItem(AK_01, here(AK_01)), fingerprint_of=here)
    assert (failed.phase, failed.error) == ("request", "RequestError")
    assert f"{right.digest[:12]} here, by other code, versions" in (failed.message or "")
    assert other.status == "completed"


def test_a_file_that_fails_its_checks_is_completed(prepared: Prepared, tmp_path: Path) -> None:
    config = json.loads((prepared.results / "prepared/config.json").read_text())
    config["validation"]["population"]["max_rel_error"] = 1e-9
    state = replace(prepared.state, structural=StructuralPolicy.from_config(Config.from_json(config).structural))
    (outcome,) = run_areas([WorkItem(NC_01)], state, tmp_path).outcomes
    assert outcome.validation is not None
    assert (outcome.status, outcome.validation.status) == ("completed", "failed")
    assert "population" in outcome.validation.summary


def test_a_callback_s_own_error_is_its_caller_s(prepared: Prepared, tmp_path: Path) -> None:
    def progress(outcome: AreaOutcome, number: int, total: int) -> None:
        raise LookupError(outcome.key)

    with pytest.raises(LookupError, match="district:NC-01"):
        run(prepared, tmp_path, WorkItem(NC_01), progress=progress)


def test_one_file_twice_is_refused_before_any_work(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"every area once, found 1 more than once \(districts/NC-01.h5\)"):
        run(prepared, tmp_path, WorkItem(NC_01), WorkItem(replace(NC_01, display_name="x")))
    assert not list(tmp_path.iterdir())


def test_items_round_trip() -> None:
    items = (WorkItem(NC_01, MARK), WorkItem(EMPTY))
    assert read_items(json.loads(json.dumps(write_items(items)))) == items
    assert read_items({"schema_version": 1, "areas": [{"request": NC_01.to_json()}]}) == (WorkItem(NC_01),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(schema_version=2), "schema_version"),
        (lambda data: data["areas"][0].update(extra=1), "areas.0.extra: expected one of fingerprint, request"),
        (lambda data: data["areas"][0]["request"].pop("package"), "areas.0.request.package: expected a value"),
        (lambda data: data["areas"][0]["request"].update(area_id="../x"), "area_id"),
        (
            lambda data: data["areas"][0]["request"]["filters"][0].update(value="37o1"),
            "areas.0.request.filters.0: filter.district",
        ),
    ],
)
def test_malformed_items_name_the_place(change: Callable[[Any], object], message: str) -> None:
    data = json.loads(json.dumps(write_items([WorkItem(NC_01)])))
    change(data)
    with pytest.raises(RequestError) as caught:
        read_items(data, "batch.json")
    assert message in str(caught.value)


def test_a_request_has_one_form_in_all_schemas() -> None:
    of_result = load_schema("area_result")["$defs"]
    for name in ("work_items", "work_result"):
        for part in ("AreaBuildRequest", "AreaFilter"):
            assert load_schema(name)["$defs"][part] == of_result[part]


def test_nothing_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(PreparedError, match="Let the workflow prepare them"):
        WorkerState.open(tmp_path)


def test_the_configuration_is_missing(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    for name in ("regional", "source_snapshot.h5"):
        (tmp_path / "prepared" / name).symlink_to(prepared.results / "prepared" / name)
    with pytest.raises(ConfigError, match=r"config.json: expected the resolved configuration"):
        WorkerState.open(tmp_path)


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning", "ignore:.*track_times.*")
@pytest.mark.parametrize(("now", "before"), [("dataset", "regional"), ("regional", "dataset")])
def test_what_the_other_kind_of_input_left_stops_no_worker(
    prepared: Prepared, tmp_path: Path, now: str, before: str
) -> None:
    """A results folder keeps what was prepared of the input that it had before."""
    runs = {"regional": prepared.run, "dataset": coded_run(tmp_path, prepared.run)}
    earlier = write_prepared(tmp_path / "earlier", runs[before], before)
    here = write_prepared(tmp_path / "here", runs[now], now)
    shutil.copytree(earlier.results / "prepared" / before, here.results / "prepared" / before)
    state = here.state
    assert list(state.packages) == [now]
    items = [WorkItem(replace(request, package=now)) for request in (NC_01, AK_01)]
    marks = fingerprints_here(state)
    done = run_areas(items, state, tmp_path / "out", fingerprint_of=marks)
    assert [outcome.status for outcome in done.outcomes] == ["completed"] * 2
    alone = write_prepared(tmp_path / "alone", runs[now], now)
    run_areas(items, alone.state, tmp_path / "expected", fingerprint_of=marks)
    assert digests(tmp_path / "out") == digests(tmp_path / "expected")


def test_a_nation_without_weights_of_its_own_any_more_stops_no_worker(prepared: Prepared, tmp_path: Path) -> None:
    here = write_prepared(tmp_path, prepared.run)
    left = here.results / "prepared" / "national"
    left.mkdir()
    (left / "clones.h5").write_bytes(b"of an older version")
    assert list(here.state.packages) == ["regional"]


def test_a_package_of_the_configuration_that_is_not_prepared_is_said(prepared: Prepared, tmp_path: Path) -> None:
    here = write_prepared(tmp_path / "here", coded_run(tmp_path, prepared.run), "regional")
    with pytest.raises(PreparedError, match=r"dataset/blocks.h5: expected a prepared block_table file, found no file"):
        WorkerState.open(here.results)


def test_the_example_of_the_docstring(prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").symlink_to(prepared.results)
    (tmp_path / "config").symlink_to(prepared.folder / "config")
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(local_h5.worker, optionflags=doctest.ELLIPSIS)
    assert (done.failed, done.attempted) == (0, 10)
