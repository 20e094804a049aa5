"""Commands, locks and dry runs on the small project."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_project import ALL, Project

from local_h5.errors import RunningError
from local_h5.requests import FOLDERS
from local_h5.runs.run_lock import hold_run_lock, refuse_stale_lock

pytestmark = pytest.mark.workflow


def test_the_second_of_two_runs_refuses_and_the_first_ends_well(project: Project) -> None:
    project.change_weights(["NC-04"])
    command = [sys.executable, "-m", "snakemake", "-j", "1", "all"]
    both = [
        subprocess.Popen(
            command, cwd=project.folder, env=project.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    texts = [process.communicate(timeout=180)[0] for process in both]
    status = [process.returncode for process in both]
    assert sorted(status) == [0, 1]
    refused, done = texts[status.index(1)], texts[status.index(0)]
    assert "expected no other run in this folder" in refused
    assert "Traceback" not in refused
    assert "districts/NC-04" in done
    assert project.local_h5("verify", check=False).status == 0


def test_a_dry_run_writes_nothing_and_says_the_plan_first(project: Project) -> None:
    project.h5("states/NC").write_bytes(b"no H5")
    before = {path: path.stat().st_mtime_ns for path in project.path("results").rglob("*") if path.is_file()}
    said = project.run("-n", "all").text
    after = {path: path.stat().st_mtime_ns for path in project.path("results").rglob("*") if path.is_file()}
    assert after == before
    plan = said.index("1 file would be built, 13 left untouched.")
    assert plan < said.index("Building DAG of jobs")
    assert "H5 differs from its sidecar: NC → 1 state" in said
    counts = dict(line.split() for line in said.splitlines() if line.startswith(("build_area ", "total ")))
    assert counts["build_area"] == "1"  # Snakemake's own count agrees


def test_a_rule_for_missing_values_prepares_the_source_again(project: Project) -> None:
    project.configure(inputs__missing={"is_female": {-1: False, 'it\'s "na"': True}})
    said = project.run("-n", "-p", "all").text
    assert "snapshot: missing" in said
    command = next(line for line in said.splitlines() if "prepare_snapshot.py" in line)
    words = shlex.split(command)
    rules = json.loads(words[words.index("--missing") + 1])
    assert rules == {"is_female": {"-1": False, 'it\'s "na"': True}}


def test_a_dry_run_says_where_its_count_must_differ(project: Project) -> None:
    project.change_weights(["NC-04"])
    said = project.run("-n", "all").text
    assert "4 files would be built, 10 left untouched." in said
    assert "Snakemake's own count, which follows, cannot agree yet" in said


def test_an_area_that_is_not_there_is_named_in_one_line(project: Project) -> None:
    for target in ("published/districts/XX-99.json", "custom/nowhere.h5"):
        refused = project.run("-n", f"results/{target}", check=False)
        assert refused.status == 1
        assert f"error: results/{target}: expected a file of an area of this run" in refused.text
        assert "Traceback" not in refused.text
        assert "Exception" not in refused.text


def test_snakemake_is_asked_only_for_what_is_stale(project: Project) -> None:
    def looked_at(*args: str) -> set[str]:
        said = project.run("-n", *args).text
        return {area for area in ALL if f"{area} may be published" in said}

    assert looked_at("all") == set()
    project.h5("states/NC").write_bytes(b"no H5")
    project.path("results/published/districts/AK-01.json").unlink()
    project.path("results/published/districts/DC-01.json").write_text('{"sha256": "of another file"}')
    stale = {"states/NC", "districts/AK-01", "districts/DC-01"}
    assert looked_at("all") == stale
    said = project.run("-n", "all", "-F").text  # told to build all the same, it sees all
    counts = dict(line.split() for line in said.splitlines() if line.startswith(("build_area ", "total ")))
    assert counts["build_area"] == str(len(ALL))
    assert looked_at("--batch", "all=1/2", "all") == stale - {"states/NC"}  # half of all, and not of what is left


def test_a_dry_run_of_some_areas_plans_these(project: Project) -> None:
    for area in ("states/NC", "districts/VA-02"):
        project.h5(area).write_bytes(b"no H5")
    assert "1 file would be built, 4 left untouched." in project.run("-n", "all_states").text
    assert "1 file would be built, 0 left untouched." in project.run("-n", "results/districts/VA-02.h5").text
    assert "0 left untouched" not in project.run("-n", "report").text
    assert "2 files would be built, 12 left untouched." in project.run("-n", "publish").text


def test_verify_finds_and_deletes_what_is_not_right(project: Project) -> None:
    assert project.local_h5("verify", "--deep").status == 0
    project.h5("districts/VA-02").unlink()
    h5 = project.h5("districts/NC-01")
    data, stat = bytearray(h5.read_bytes()), h5.stat()
    data[-1] ^= 1
    h5.write_bytes(data)
    os.utime(h5, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    sidecar = project.sidecar("states/VA")
    edited = json.loads(sidecar.read_text())
    edited["rows"] = "many"
    sidecar.write_text(json.dumps(edited))
    project.change_weights(["NC-04"])
    shutil.copyfile(project.h5("states/NC"), project.h5("states/ZZ"))

    found = project.local_h5("verify", "--format", "json", check=False)
    kinds = {f["path"]: f["kind"] for f in json.loads(found.text)["findings"]}
    assert found.status == 1
    assert kinds == {
        "districts/VA-02.h5": "missing", "districts/NC-01.h5": "corrupt", "states/VA.h5": "corrupt",
        "districts/NC-04.h5": "stale", "states/NC.h5": "stale", "national/US.h5": "stale",
        "custom/durham.h5": "stale", "states/ZZ.h5": "orphaned",
    }  # fmt: skip
    project.local_h5("verify", "--delete-stale", check=False)
    assert not project.h5("districts/NC-01").exists()
    assert project.h5("states/ZZ").exists()
    built = project.run().built
    assert built == {path.removesuffix(".h5") for path, kind in kinds.items() if kind != "orphaned"}
    project.h5("states/ZZ").unlink()
    assert project.local_h5("verify").status == 0


def test_explain_says_what_changed(project: Project) -> None:
    assert "Would be left untouched" in project.local_h5("explain", "districts/NC-04").text
    project.change_weights(["NC-04"])
    said = project.local_h5("explain", "NC-04").text
    assert "weights changed since the file was built" in said
    assert "clone, household and weight" in said
    refused = project.local_h5("explain", "XX-99", check=False)
    assert refused.status == 1
    assert refused.text.startswith("error: XX-99: expected the id of one area")


def test_a_plan_on_a_clean_clone_and_as_markdown(project: Project) -> None:
    shutil.rmtree(project.path("results"))
    shutil.rmtree(project.path(".snakemake"))
    said = project.local_h5("plan", "--format", "markdown").text
    assert "14 files would be built, 0 left untouched." in said
    assert "<details><summary>not built: 6 districts, 5 states, nation, city NYC, custom durham</summary>" in said
    assert not project.path("results").exists()


@pytest.mark.parametrize(
    ("path", "spoil", "said"),
    [
        ("inputs/weights.npy", lambda w: np.where(np.arange(len(w)) == 3, np.nan, w), "NaN: nan in row 3"),
        ("inputs/weights.npy", lambda w: -w, "negative"),
        ("inputs/weights.npy", lambda w: w[:-1], "expected a multiple of"),
        ("inputs/weights.npy", lambda w: w.astype(str), "expected floats or integers"),
        ("inputs/weights.npy", lambda w: w[: len(w) // 3 * 2], "the clones of the weights"),
        ("inputs/source.h5", None, "expected a readable HDF5 file"),
        ("inputs/geography.npz", None, "expected a geography .npz"),
    ],
)
def test_a_plan_before_the_first_run_looks_into_the_inputs(
    project: Project, path: str, spoil: Callable[[Any], Any] | None, said: str
) -> None:
    shutil.rmtree(project.path("results"))
    if spoil is None:
        project.path(path).write_text("hello")
    else:
        np.save(project.path(path), spoil(np.load(project.path(path))))
    outcome = project.local_h5("plan", check=False)
    assert outcome.status == 1
    assert outcome.text.startswith("error: inputs/")
    assert said in outcome.text
    assert outcome.text.count("\n") == 1
    assert not project.path("results").exists()


def test_the_forecast_of_time_is_what_the_jobs_took(project: Project) -> None:
    """Snakemake's own CPU time is 0 for a job of a quarter second."""
    took = [
        float(path.read_text().splitlines()[1].split("\t")[0])
        for folder in FOLDERS.values()
        for path in project.path(f"results/benchmarks/{folder}").glob("*.tsv")
    ]
    for path in project.path("results").glob("*/*.h5"):
        path.unlink()
    assert len(took) == 14
    plan = project.plan()
    areas = plan["estimate"]["job_seconds"] - sum(step["job_seconds"] for step in plan["steps"])
    assert areas == pytest.approx(sum(took), abs=0.1)


def test_an_input_that_changes_while_its_step_runs_is_refused(project: Project) -> None:
    project.change_weights(["NC-04"])
    path = project.path("scripts/prepare_clones.py")
    path.write_text(f"{path.read_text()}    Path('inputs/weights.npy').write_bytes(b'other')\n")
    outcome = project.run(check=False)
    assert outcome.status == 1
    assert "it changed while the step ran" in outcome.text
    assert not project.path("results/prepared/traces/clones_regional.json").exists()


def test_the_run_lock_is_that_of_a_process(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from local_h5.runs.run_lock import hold_run_lock\n"
    code += "lock = hold_run_lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunningError, match="no other run in this folder"):
            hold_run_lock(tmp_path)
        other.kill()
        other.wait()
        hold_run_lock(tmp_path).release()


def test_a_lock_of_a_killed_run_says_how_to_go_on(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    locks.mkdir()
    (locks / "0.output.lock").write_text("elsewhere/US.h5\n")
    refuse_stale_lock(Path("results"), locks)
    (locks / "1.output.lock").write_text("results/national/US.h5\n")
    with pytest.raises(RunningError, match="make resume"):
        refuse_stale_lock(Path("results"), locks)


def test_the_example_of_own_inputs_needs_its_three_paths_and_no_more(project: Project) -> None:
    inputs = project.path("inputs")
    for own, name in (
        ("weights.npy", "calibration_weights.npy"),
        ("geography.npz", "geography_assignment.npz"),
        ("source.h5", "source_imputed_stratified_extended_cps.h5"),
    ):
        (inputs / own).rename(inputs / name)
    example = "config/production.example.yaml"
    project.configure(inputs__weights=None, inputs__geography=None, inputs__dataset=None)
    assert len(project.plan("--configfile", example)["groups"][0]["areas"]) == 14
    outcome = project.run("all_cities", "--configfile", example)
    assert outcome.built == {"cities/NYC"}
    assert project.path("results/production/cities/NYC.h5").is_file()
    (inputs / "calibration_weights.npy").unlink()
    refused = project.local_h5("plan", "--configfile", example, check=False)
    assert refused.text.startswith(f"error: config/config.yaml, {example}: inputs.weights: expected an existing file")


def test_the_list_of_rules_says_what_each_makes(project: Project) -> None:
    listed = project.run("--list").text
    for rule in ("all", "national", "build_area", "publish_area", "plan", "report", "publish"):
        (line,) = (line for line in listed.splitlines() if line.split()[:1] == [rule])
        assert len(line.split()) > 3, line
