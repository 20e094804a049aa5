"""Approvals in real runs: a bad file fails alone, the others go on, and the run says so by its exit status."""

import pytest
from small_project import ALL, DISTRICTS, Project
from test_target_records import stamped, write_reference, write_targets

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
    assert stamped(project) == ALL - bad
    assert project.h5("districts/AK-01").is_file()  # kept for inspection
    assert "persons, reference" in project.path("results/logs/published/districts/AK-01.log").read_text()

    project.configure(validation__on_failure={**validation, "structural": "warn", "sanity": "warn"})
    project.run()
    assert stamped(project) == ALL
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
def test_snakemakes_own_report_has_the_figures(project: Project) -> None:
    project.run("report")
    assert "Nothing to be done" in project.run("report").text
    project.run("report", "--report", "page.html")
    assert "district_map_population_error.svg" in project.path("page.html").read_text()
    project.edit("src/local_h5/report/page.html", "<title>", "<title>Another ")
    assert "rule report" in project.run("-n", "report").text
