"""The stamps in Snakemake: a bad file fails alone, the others go on, and the run says so by its exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from local_h5.workflow.main_process import validation_file, write_if_changed
from validation_world import Run, with_validation

ROOT = Path(__file__).parents[3]

SNAKEFILE = f"""
from pathlib import Path
from local_h5.requests import FOLDERS
from local_h5.validation.parts import parts_of, sources_of
from local_h5.workflow.main_process import Run, resolved_config, validation_file
from local_h5.settings import Settings
configfile: "config.yaml"
SETTINGS = Settings.load(config)
RUN = Run(SETTINGS)
RESULTS = SETTINGS.results.as_posix()
PREPARED = SETTINGS.prepared.as_posix()
DOWNLOADS = RESULTS + "/downloads"
rule all:
    input: [path for path in SETTINGS.stamps() if "NYC" not in path]
rule report_beside:
    input: RESULTS + "/validation/report.html"
rule fetch_geography_tables:
    output:
        age_by_state=DOWNLOADS + "/a.json",
        age_by_district=DOWNLOADS + "/b.json",
        snap_by_district=DOWNLOADS + "/c.json",
include: "{ROOT}/rules/common.smk"
include: "{ROOT}/rules/validate.smk"
"""


def snakemake(run: Run, *targets: str) -> "subprocess.CompletedProcess[str]":
    """Run Snakemake with the project's own profile in the run's folder."""
    (run.folder / "Snakefile").write_text(SNAKEFILE)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(run.config))
    write_if_changed(validation_file(run.settings), {"validation": run.config["validation"]})
    if not (run.folder / "scripts").exists():
        (run.folder / "scripts").symlink_to(ROOT / "scripts")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *targets,
        "--cores",
        "2",
        "--profile",
        str(ROOT / "profiles" / "default"),
    ]
    return subprocess.run(command, cwd=run.folder, env=environment, capture_output=True, text=True, check=False)


def stamped(run: Run) -> set[str]:
    return {path.stem for path in (run.settings.results / "published").rglob("*.json")}


@pytest.mark.workflow
def test_a_bad_file_fails_alone(run: Run) -> None:
    everything = {"AK", "CA", "DC", "NC", "AK-01", "CA-34", "DC-01", "NC-01", "NC-12", "US"}
    run.edit("NC-01", "household_weight", lambda v: v * 10)
    run.check("NC-01")
    done = snakemake(run)
    assert done.returncode != 0
    assert stamped(run) == everything - {"NC-01"}
    assert run.path("NC-01").is_file()  # kept for inspection
    log = (run.settings.results / "logs" / "published" / "districts" / "NC-01.log").read_text()
    assert "persons, reference" in log

    warned = with_validation(run, on_failure={"structural": "warn", "sanity": "fail", "targets": "warn"})
    warned.check("NC-01")
    done = snakemake(warned)
    assert done.returncode == 0, done.stderr
    assert stamped(run) == everything
    assert "Nothing to be done" in snakemake(warned).stderr


@pytest.mark.workflow
def test_at_the_level_of_targets_a_stamp_waits_for_the_targets(run: Run) -> None:
    run.config["areas"]["cities"] = []  # nobody lives in New York here
    structural = snakemake(run, "-n").stdout
    assert "validate_targets" not in structural
    planned = snakemake(with_validation(run, level="targets"), "-n").stdout
    jobs = dict(line.split()[:2] for line in planned.splitlines() if len(line.split()) == 2)
    assert (jobs["validate_targets"], jobs["simulate_targets"], jobs["publish_area"]) == ("10", "2", "10")
    assert not with_validation(run, level="targets", enabled=False).settings.policy.wants_targets


@pytest.mark.slow
@pytest.mark.workflow
def test_snakemakes_own_report_has_the_figures(run: Run) -> None:
    run.config["areas"]["cities"] = []
    run.save_config()
    done = snakemake(run, "report")
    assert done.returncode == 0, done.stderr
    page = run.folder / "snakemake_report.html"
    done = snakemake(run, "report", "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert "district_map_population_error.svg" in page.read_text()
