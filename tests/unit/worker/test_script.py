"""``scripts/run_worker.py``: JSON in, JSON out, and its exit status."""

import io
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worker_world import ROOT, Prepared

from local_h5.config.layout import Layout
from local_h5.contracts.records import CheckedFile, Summary, TargetRow, ValidationRecord, write_record
from local_h5.errors import RunningError
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.run_lock import hold_run_lock
from local_h5.worker import WorkItem, WorkResult, area_job, write_items

SCRIPT = ROOT / "scripts" / "run_worker.py"
NC_01 = AreaBuildRequest("district", "NC-01", "NC-01", (AreaFilter("district", "eq", ("3701",)),))
UNKNOWN = AreaBuildRequest("custom", "unknown", "?", (AreaFilter("county", "eq", ("37991",)),))

IMPORTS = """
import json, runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


def call(monkeypatch: pytest.MonkeyPatch, *args: object, stdin: str = "") -> int:
    monkeypatch.setattr(sys, "argv", ["run_worker.py", *map(str, args)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def batch(*requests: AreaBuildRequest) -> str:
    return json.dumps(write_items(map(WorkItem, requests)))


def test_files_in_and_out_then_nothing_to_do(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, answer = tmp_path / "asked.json", tmp_path / "answer.json"
    asked.write_text(batch(NC_01))
    args = ("--requests", asked, "--result", answer, "--output", tmp_path / "out")
    for status in ("completed", "skipped"):
        assert call(monkeypatch, *args) == 0
        (outcome,) = WorkResult.from_json(json.loads(answer.read_text())).outcomes
        assert outcome.status == status
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(f"1/1 district:NC-01 {status} ")
    assert not (tmp_path / "out" / "prepared").exists()


def test_standard_streams_and_a_failed_area(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--output", tmp_path, stdin=batch(UNKNOWN, NC_01)) == 1
    printed = capsys.readouterr()
    result = WorkResult.from_json(json.loads(printed.out))
    assert [outcome.status for outcome in result.outcomes] == ["failed", "completed"]
    assert "unknown 37991" in printed.err


@pytest.mark.parametrize(
    ("stdin", "args", "message"),
    [
        ("not JSON", (), "standard input: expected JSON"),
        ('{"schema_version": 1}', (), "requests: areas: expected a value"),
        (batch(NC_01, NC_01), (), "every area once"),
        (batch(NC_01), ("--results", "nowhere"), "Let the workflow prepare them"),
        ("", ("--requests", "nowhere.json"), "nowhere.json: expected JSON"),
        (batch(NC_01), ("--result", "config"), "expected the name of a file, found a folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    prepared: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stdin: str,
    args: tuple[str, ...],
    message: str,
) -> None:
    assert call(monkeypatch, "--output", tmp_path, *args, stdin=stdin) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_interruption_is_no_traceback(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(area_job, "build_area", interrupted)
    assert call(monkeypatch, "--output", tmp_path, stdin=batch(NC_01)) == 130
    assert capsys.readouterr().err.startswith("interrupted; ")


def test_the_legacy_view_has_the_run_s_target_validation(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--output", tmp_path, "--legacy-view")
    assert call(monkeypatch, *args, stdin=batch(NC_01, UNKNOWN)) == 1
    view = json.loads(capsys.readouterr().out)
    assert (view["completed"], view["failed"], view["validation_rows"]) == (["district:NC-01"], ["custom:unknown"], [])
    sha256 = json.loads((tmp_path / "districts/NC-01.h5.result.json").read_text())["output"]["sha256"]
    row = (1, 1, "snap", 2024, 0, "", 10.0, 9.0, -1.0, -0.1, None, True, "passed", "")
    policy = prepared.run.settings.policy.for_area("district", "NC-01")
    record = ValidationRecord(
        area=CheckedFile("district", "NC-01", "districts/NC-01.h5", sha256), level="targets", status="passed",
        policy=policy, summary=Summary("fine"), targets=(TargetRow(*row),),
    )  # fmt: skip
    write_record(Layout(tmp_path).record("targets", "districts/NC-01.h5"), record)
    assert call(monkeypatch, *args, stdin=batch(NC_01)) == 0
    view = json.loads(capsys.readouterr().out)
    assert view["validation_summary"] == {
        "district:NC-01": {"n_targets": 1, "n_sanity_fail": 0, "mean_rel_abs_error": 0.1}
    }


def test_it_imports_neither_the_model_nor_frames(prepared: Prepared, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, str(SCRIPT), "--output", str(tmp_path)],
        input=batch(NC_01), capture_output=True, text=True, check=True,
    )  # fmt: skip
    imported = json.loads(done.stderr.splitlines()[-1])
    assert {"numpy", "h5py"} <= set(imported)
    assert not {"policyengine_us", "policyengine_core", "pandas", "pyarrow", "scipy", "jsonschema"} & set(imported)


def test_the_worker_waits_for_nobody_and_writes_nothing_beside_a_run(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    lock = hold_run_lock(output)
    before = {path.name for path in output.iterdir()}
    assert call(monkeypatch, "--output", output, stdin=batch(NC_01)) != 0
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "expected no other run in this folder, found one that is going on" in printed.err
    assert {path.name for path in output.iterdir()} == before
    lock.release()
    assert call(monkeypatch, "--output", output, stdin=batch(NC_01)) == 0
    capsys.readouterr()
    hold_run_lock(output).release()  # the worker gave it back


def test_the_worker_holds_the_lock_while_it_builds(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    original = area_job.run_area_job

    def watched(*args: Any, **kwargs: Any) -> Any:
        with pytest.raises(RunningError) as refused:
            hold_run_lock(tmp_path)
        seen.append(str(refused.value))
        return original(*args, **kwargs)

    monkeypatch.setattr("local_h5.worker.service.run_area_job", watched)
    assert call(monkeypatch, "--output", tmp_path, stdin=batch(NC_01)) == 0
    capsys.readouterr()
    (refusal,) = seen
    assert f"process {os.getpid()} on" in refusal
