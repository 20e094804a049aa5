"""Whatever is killed, and wherever: resuming ends with the bytes of an undisturbed run, and no part of a file shows.

Processes of the small project import ``sitecustomize`` from its ``src``; there the test puts code that kills at a named
moment of the n-th write of a kind.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from small_project import Project

pytestmark = pytest.mark.workflow

AREA_WRITES = ("H5 written, not renamed", "H5 renamed, no sidecar", "sidecar written, not renamed")
"""Between the temporary write of an H5 and the rename of its sidecar."""
OTHER_MOMENTS = (
    "sidecar renamed", "prepared written, not renamed", "prepared renamed, no trace", "request renamed",
    "trace renamed", "plan written, not renamed", "any time",
)  # fmt: skip
VICTIMS = ("job", "snakemake", "both")

INJECTION = """
import os, signal
from pathlib import Path

_moment, _nth, _victim = os.environ["LOCAL_H5_TEST_KILL"].split("|")
_folder = Path(os.environ["LOCAL_H5_TEST_KILLED"])
_replace = Path.replace

def _kind(path):
    areas = ("national", "states", "districts", "cities", "custom")
    if path.name.endswith(".h5.result.json"):
        return "sidecar"
    if path.parent.name in areas and path.suffix == ".h5":
        return "H5"
    if path.name == "plan.json" and path.parent.name == "prepared":
        return "plan"
    if "prepared" in path.parts and path.suffix == ".h5":
        return "prepared"
    for kind in ("request", "trace"):
        if f"{kind}s" in path.parts:
            return kind
    return "other"

def _kill_at(when, path):
    if not f"{_kind(path)} {when}" in _moment or (_folder / "done").exists():
        return
    for number in range(1, 1000):
        try:
            (_folder / str(number)).touch(exist_ok=False)
            break
        except FileExistsError:
            continue
    if number < int(_nth):
        return
    (_folder / "done").write_text(f"{_moment}: {path} ({_victim})")
    if _victim == "both":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.kill(os.getpid() if _victim == "job" else os.getpgrp(), signal.SIGKILL)

def replace(self, target):
    _kill_at("written", Path(target))
    result = _replace(self, target)
    _kill_at("renamed", Path(target))
    return result

Path.replace = replace
"""


@pytest.fixture(scope="module")
def changed(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Weights of one district are new: a clone index, a plan and four areas are to be made."""
    project = built.copy(tmp_path_factory.mktemp("changed") / "project")
    project.change_weights(["NC-04"])
    return project


@pytest.fixture(scope="module")
def undisturbed(changed: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    project = changed.copy(tmp_path_factory.mktemp("undisturbed") / "project")
    project.run()
    return project.bytes_of_results()


def kill_and_resume(project: Project, number: int, undisturbed: dict[str, str]) -> str:
    """Kill once, look at what is there, resume, and compare; returns the moment."""
    choose = random.Random(number)
    moment = choose.choice(AREA_WRITES if number % 2 == 0 else OTHER_MOMENTS)
    victim = choose.choice(VICTIMS)
    nth = choose.randint(1, 4) if moment in AREA_WRITES or moment == "sidecar renamed" else 1
    marks = project.folder.parent / "marks"
    marks.mkdir()
    hook = project.path("src/sitecustomize.py")
    hook.write_text(INJECTION)
    environment = {
        **project.environment(),
        "LOCAL_H5_TEST_KILL": f"{moment}|{nth}|{victim}",
        "LOCAL_H5_TEST_KILLED": str(marks),
    }
    with (project.folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "-j", "2", "all"], cwd=project.folder, env=environment, stdout=log,
            stderr=log, start_new_session=True,
        )  # fmt: skip
        if moment == "any time":
            delay = choose.uniform(0.5, 8.0)
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGKILL) if victim == "both" else process.kill()
            moment = f"any time (after {delay:.1f} s)"
        else:
            process.wait(timeout=120)
            assert (marks / "done").exists(), f"never reached: {moment}, {nth}"
        process.wait(timeout=120)
    hook.unlink()

    for path in (project.folder / "results").glob("*/*.h5"):
        if path.parent.name in ("national", "states", "districts", "cities", "custom"):
            assert len(path.read_bytes()) > 0
            sidecar = path.with_name(f"{path.name}.result.json")
            if sidecar.exists():
                said = json.loads(sidecar.read_text())["output"]["sha256"]
                assert said == sha256(path.read_bytes()).hexdigest(), f"{moment}: {path} is not what its sidecar says"

    if number == 0:
        project.run("--unlock", "all")
    else:
        # What --unlock does, without starting Snakemake; a Snakemake that lived on has done it itself.
        shutil.rmtree(project.path(".snakemake/locks"), ignore_errors=True)
    project.run()
    assert project.bytes_of_results() == undisturbed, f"{moment} ({victim})"
    assert not list((project.folder / "results").rglob(".*.tmp"))
    return f"{moment} ({victim})"


def kill_often(changed: Project, undisturbed: dict[str, str], folder: Path, numbers: range) -> None:
    moments = []
    for number in numbers:
        (folder / str(number)).mkdir()
        project = changed.copy(folder / str(number) / "project")
        moments.append(kill_and_resume(project, number, undisturbed))
    for moment, count in sorted(Counter(moments).items()):
        print(f"{count:3d} x {moment}")  # noqa: T201 -- the report that the reader of a CI log wants
    written = sum(moment.startswith(AREA_WRITES) for moment in moments)
    assert written >= len(moments) / 2


def test_resume_after_kills(changed: Project, undisturbed: dict[str, str], tmp_path: Path) -> None:
    kill_often(changed, undisturbed, tmp_path, range(2))


@pytest.mark.slow
def test_resume_after_eighteen_kills(changed: Project, undisturbed: dict[str, str], tmp_path: Path) -> None:
    kill_often(changed, undisturbed, tmp_path, range(2, 20))


@pytest.mark.slow
def test_resume_after_a_hundred_kills(changed: Project, undisturbed: dict[str, str], tmp_path: Path) -> None:
    kill_often(changed, undisturbed, tmp_path, range(1000, 1100))
