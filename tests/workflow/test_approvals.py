"""Approvals in real runs: a bad file fails alone, the others go on, and the run says so by its exit status."""

import json
import re
import shutil

import pytest
from small_project import ALL, DISTRICTS, Project
from test_target_records import approved, write_reference, write_targets

pytestmark = pytest.mark.workflow


def test_a_bad_file_fails_alone(project: Project) -> None:
    write_reference(project)
    table = project.path("inputs/districts.csv")
    lines = [line.rsplit(",", 1) for line in table.read_text().splitlines()]
    changed = [[head, "100000"] if head.startswith("AK-01") else [head, tail] for head, tail in lines]
    table.write_text("\n".join(",".join(line) for line in changed) + "\n")
    validation = {"structural": "fail", "sanity": "fail", "targets": "warn"}
    project.configure(validation__enabled=True, validation__on_failure=validation)
    outcome = project.run(check=False)
    assert outcome.status
    bad = {"districts/AK-01", "states/AK", "national/US"}
    assert approved(project) == ALL - bad
    assert project.h5("districts/AK-01").is_file()  # kept for inspection
    assert "persons, reference" in project.path("results/logs/published/districts/AK-01.log").read_text()

    project.configure(validation__on_failure={**validation, "structural": "warn", "sanity": "warn"})
    project.run()
    assert approved(project) == ALL
    assert "Nothing to be done" in project.run().text


def test_at_the_level_of_targets_an_approval_waits_for_the_targets(project: Project) -> None:
    write_targets(project)
    assert "validate_targets" not in project.run("-n", "all").text
    project.configure(inputs__targets="inputs/targets.db", validation__enabled=True, validation__level="targets")
    said = project.run("-n", "all").text
    jobs = dict(line.split()[:2] for line in said.splitlines() if len(line.split()) == 2)
    assert (jobs["validate_targets"], jobs["simulate_targets"], jobs["publish_area"]) == ("14", "2", "14")
    assert len(DISTRICTS) < 14


@pytest.mark.slow
def test_a_report_after_new_weights_builds_what_is_stale_first(project: Project) -> None:
    project.change_weights(["NC-04"])
    outcome = project.run("report")
    assert outcome.built == {"districts/NC-04", "states/NC", "national/US", "custom/durham"}
    project.path("results/published/districts/NC-01.json").unlink()  # no input of the report
    assert "Nothing to be done" in project.run("report").text


def test_a_report_on_a_clean_clone_is_planned(project: Project) -> None:
    shutil.rmtree(project.path("results"))
    said = project.run("-n", "all", "report").text
    assert "Traceback" not in said
    assert re.search(r"^report +1$", said, re.MULTILINE)


def test_an_approval_is_that_of_the_records_of_now(project: Project) -> None:
    """Whatever stops a run between a new record and its approval, and whatever levels were asked for before."""
    stale = {"districts/AK-01": "another verdict", "states/NY": None}
    for area, text in stale.items():
        path = project.path(f"results/published/{area}.json")
        approval = json.loads(path.read_text())
        approval["records"] = {"structural": text} if text else {}
        path.write_text(json.dumps(approval))
    said = project.run("-n", "all").text
    assert {area for area in ALL if f"{area} may be published" in said} == set(stale)
    options = ("--config", "results/prepared/config.json", "--store", str(project.path("store")))
    refused = project.command("scripts/publish_collection.py", *options, "--release-manifest", "r.json", check=False)
    assert refused.status == 1
    assert "NY.h5" in refused.text
    write_targets(project)
    project.configure(inputs__targets="inputs/targets.db", validation__enabled=True, validation__level="targets")
    said = project.run("-n", "all").text
    assert re.search(rf"^publish_area +{len(ALL)}$", said, re.MULTILINE)  # they were asked for structure alone


@pytest.mark.slow
def test_snakemakes_own_report_has_the_figures(project: Project) -> None:
    project.run("report")
    assert "Nothing to be done" in project.run("report").text
    project.run("report", "--report", "page.html")
    assert "district_map_population_error.svg" in project.path("page.html").read_text()
    project.edit("src/local_h5/report/page.html", "<h1>", "<h1>Another ")
    assert "Report of the run" in project.run("-n", "report").text
