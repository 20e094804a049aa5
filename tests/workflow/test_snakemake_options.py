"""What is built follows from content, however Snakemake is started, and whatever the clocks say."""

import os
import shutil
import time

import pytest
from small_project import ALL, Project
from test_rebuild_table import NC, assert_weights_are_in_the_files

pytestmark = pytest.mark.workflow

CHANGED = NC - {"districts/NC-01"}
"""What new weights in NC-04 rebuild."""
IN_FORTY_DAYS = time.time() + 40 * 86_400

API = """
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

with SnakemakeApi(OutputSettings(verbose=False)) as api:
    workflow = api.workflow(ResourceSettings(cores=2), snakefile=Path("Snakefile"))
    dag = workflow.dag(DAGSettings(targets={"all"}))
    dag.execute_workflow(executor=sys.argv[1])
"""


def date_everything(project: Project, when: float) -> None:
    for path in project.folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (when, when))


def nothing_is_built(project: Project, *args: str) -> None:
    outcome = project.run(*args)
    assert not outcome.built
    assert "Nothing to be done" in outcome.text


def test_files_of_the_future(project: Project) -> None:
    """Inputs, prepared files and outputs copied from a machine with a fast clock."""
    project.change_weights(["NC-04"])
    date_everything(project, IN_FORTY_DAYS)
    assert project.run().built == CHANGED
    assert_weights_are_in_the_files(project)
    nothing_is_built(project)


@pytest.mark.slow
def test_one_file_and_what_was_forced(project: Project) -> None:
    project.change_weights(["NC-04"])
    assert project.run("results/districts/NC-04.h5").built == {"districts/NC-04"}
    assert project.run("results/districts/NC-01.h5").built == set()
    before = project.bytes_of_results()
    project.run("--touch", "all")
    assert project.bytes_of_results() == before
    stale = {group["reason"]: len(group["areas"]) for group in project.plan()["groups"]}
    assert stale == {"weights changed": 3}  # touched or not
    assert project.run("all", "-R", "build_area").built == ALL  # told to build them, it does
    assert_weights_are_in_the_files(project)
    nothing_is_built(project)


@pytest.mark.slow
def test_forcing_a_step_rebuilds_what_comes_out_different(project: Project) -> None:
    assert project.run("all", "-R", "prepare_clones").built == set()
    project.change_weights(["NC-04"])
    assert project.run("all", "-R", "prepare_takeup").built == CHANGED
    assert project.run("all", "-F").built == ALL
    nothing_is_built(project)


@pytest.mark.slow
def test_a_wrong_configuration_and_back(project: Project) -> None:
    """The wrong one is planned and stopped before the first area."""
    project.run("results/prepared/plan.json", "--config", "takeup={reported: ignore}")
    assert project.run().built == set()
    assert project.local_h5("verify").status == 0


def test_until_goes_through_the_plan(project: Project) -> None:
    shutil.rmtree(project.path("results/districts"))
    project.change_weights(["NC-04"])
    districts = {area for area in ALL if area.startswith("districts/")}
    assert project.run("all", "--until", "build_area").built == districts | CHANGED


@pytest.mark.slow
def test_omitting_the_approvals_builds_the_files(project: Project) -> None:
    project.change_weights(["NC-04"])
    assert project.run("all", "--omit-from", "publish_area").built == CHANGED
    assert project.run().built == set()
    nothing_is_built(project)


@pytest.mark.slow
def test_another_store_for_snakemakes_notes(project: Project) -> None:
    project.run("all", "--persistence-backend", "db")
    project.change_weights(["NC-04"])
    assert project.run("all", "--persistence-backend", "db").built == CHANGED
    nothing_is_built(project, "all", "--persistence-backend", "db")


@pytest.mark.slow
def test_snakemakes_python_interface(project: Project) -> None:
    program = project.path("program.py")
    program.write_text(API)
    project.change_weights(["NC-04"])
    before = project.bytes_of_results()
    said = project.command(str(program), "dryrun").text
    assert "Plan: which areas have to be built" in said
    assert project.bytes_of_results() == before
    project.command(str(program), "local")
    assert_weights_are_in_the_files(project)
    assert project.local_h5("verify").status == 0
    assert "Nothing to be done" in project.command(str(program), "local").text


@pytest.mark.slow
def test_an_interrupted_job_is_repeated(project: Project) -> None:
    """As after a kill: Snakemake notes that the job had begun, and its files are whole."""
    project.change_weights(["NC-04"])
    project.run()
    notes = project.path(".snakemake/incomplete")
    metadata = project.path(".snakemake/metadata")
    notes.mkdir(exist_ok=True)
    for path in metadata.rglob("*"):
        if path.is_file():
            (notes / path.relative_to(metadata)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, notes / path.relative_to(metadata))
            break
    project.run()
    assert_weights_are_in_the_files(project)
    nothing_is_built(project)


def test_unlocking_a_clean_clone_makes_no_results(project: Project) -> None:
    shutil.rmtree(project.path("results"))
    project.run("--unlock", "all")
    assert not project.path("results").exists()


def test_a_query_writes_nothing(project: Project) -> None:
    project.change_weights(["NC-04"])
    results = project.path("results")
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    for query in ("--summary", "--list"):
        project.run("all", query)
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_forced_area_is_built_from_the_request_of_the_plan(project: Project) -> None:
    requests = project.path("results/prepared/requests")
    edited = requests / "districts/NC-04.json"
    edited.write_text(edited.read_text().replace('"3704"', '"3701"'))
    (requests / "states/NC.json").unlink()
    before = project.bytes_of_results()
    outcome = project.run("all", "-R", "build_area")
    assert outcome.built == ALL
    assert project.bytes_of_results() == before
    assert "Traceback" not in outcome.text
