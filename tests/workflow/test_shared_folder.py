"""A results folder of several users, and sidecars that somebody edits. Root without its rights is the second user."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import Project

from local_h5.errors import RunningError
from local_h5.files.atomic import write_text
from local_h5.runs.run_lock import hold_run_lock

pytestmark = pytest.mark.workflow

COLLEAGUE = 1234
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which needs root")
needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="plays a second user with setpriv")
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")
"""Runs a command of root's without root's rights over files of others."""


def second_user(project: Project, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WITHOUT_RIGHTS, sys.executable, *args],
        cwd=project.folder, env=project.environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def give(folder: Path, mode: int) -> None:
    """Let everything of a folder belong to the colleague; ``mode`` is added for files, and search for folders."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, COLLEAGUE, COLLEAGUE)
        path.chmod(0o755 | mode | (mode & 0o222) if path.is_dir() else 0o644 | mode)


@needs_root
@needs_setpriv
def test_results_that_may_only_be_read_are_verified_planned_and_explained(project: Project) -> None:
    project.path("results/prepared/digests.json").unlink()  # a memo that would have to be written
    give(project.path("results"), 0)
    before = {path: path.stat() for path in project.path("results").rglob("*")}
    for command in (("verify",), ("plan",), ("explain", "NC-01")):
        done = second_user(project, "-c", "from local_h5.cli import main; main()", *command)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert {path: path.stat().st_mtime_ns for path in project.path("results").rglob("*")} == {
        path: stat.st_mtime_ns for path, stat in before.items()
    }
    refused = second_user(project, "-m", "snakemake", "-j", "1", "all")
    assert refused.returncode == 1
    assert "error: results/.run.lock: expected a lock file that this user may write" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
@needs_root
@needs_setpriv
def test_the_second_user_of_a_shared_folder_goes_on(project: Project) -> None:
    give(project.path("results"), 0o022)
    project.change_weights(["NC-04"])
    done = second_user(project, "-m", "snakemake", "-j", "2", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert second_user(project, "-c", "from local_h5.cli import main; main()", "verify").returncode == 0


def test_umask_says_who_may_read_and_write_results(tmp_path: Path) -> None:
    for mask in (0o002, 0o022, 0o077):
        before = os.umask(mask)
        try:
            write_text(tmp_path / f"{mask}.json", "{}")
            hold_run_lock(tmp_path / f"folder-{mask}").release()
        finally:
            os.umask(before)
        assert (tmp_path / f"{mask}.json").stat().st_mode & 0o777 == 0o666 & ~mask
        assert (tmp_path / f"folder-{mask}" / ".run.lock").stat().st_mode & 0o777 == 0o666 & ~mask


def test_no_file_of_a_run_is_private(built: Project) -> None:
    before = os.umask(0)
    os.umask(before)
    wanted = 0o666 & ~before
    modes = {path: path.stat().st_mode & 0o777 for path in built.path("results").rglob("*") if path.is_file()}
    assert {path: oct(mode) for path, mode in modes.items() if mode != wanted} == {}


def test_who_holds_the_lock_is_said(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from local_h5.runs.run_lock import hold_run_lock\n"
    code += "lock = hold_run_lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunningError, match=rf"\(.*, process {other.pid} on .*\)"):
            hold_run_lock(tmp_path)
        other.kill()
    (tmp_path / "file").touch()
    with pytest.raises(RunningError, match="a lock file that this user may write"):
        hold_run_lock(tmp_path / "file")


def edit(project: Project, area: str, **changes: object) -> None:
    path = project.sidecar(area)
    data = json.loads(path.read_text())
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            data[section][name] = value
        else:
            data[section] = value
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


def test_an_edited_sidecar_is_found_by_verify_run_and_publish(project: Project) -> None:
    edit(project, "districts/NC-01", weights__persons=123456789.0)
    edit(project, "districts/VA-02", notes={"licence": "CC0"})
    edit(project, "states/NC", rows__person=77)
    found = project.local_h5("verify", check=False).text
    for area in ("districts/NC-01", "districts/VA-02", "states/NC"):
        assert f"corrupt: {area}.h5: {area.split('/')[1]}.h5.result.json: sidecar changed since it was written" in found
    assert "11 of 14 files are as they should be." in found
    config, store = "results/prepared/config.json", str(project.path("store"))
    options = ("--config", config, "--store", store, "--release-manifest", "r.json")
    refused = project.command("scripts/publish_collection.py", *options, check=False)
    assert refused.status == 1
    assert "their sidecar was changed" in refused.text
    assert "sidecar changed since it was written in 2 districts: NC-01, VA-02" in project.local_h5("plan").text
    assert project.run().built == {"districts/NC-01", "districts/VA-02", "states/NC"}
    assert project.local_h5("verify").status == 0


def test_a_record_of_an_older_version_vouches_for_nothing(project: Project) -> None:
    path = project.path("results/validation/structural/districts/NC-01.json")
    record = json.loads(path.read_text())
    kept = record["area"].pop("sidecar_sha256")
    path.write_text(json.dumps(record))
    assert project.run().built == {"districts/NC-01"}
    assert json.loads(path.read_text())["area"]["sidecar_sha256"] == kept
    path.unlink()
    assert "record of structural checks missing" in project.local_h5("plan").text
