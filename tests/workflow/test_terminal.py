"""`make all` as a person sees it and as a log keeps it, with all well and with areas that fail."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from small_project import ROOT, Project
from terminal import Shown, run_in_terminal

pytestmark = pytest.mark.workflow

MAKE = ("make", "-o", ".venv/installed", "JOBS=2")
"""The project's own recipes, in the environment that the tests run in."""

KEY = "validation.population.max_rel_error"


def in_terminal(project: Project, *command: str, width: int = 120) -> Shown:
    return run_in_terminal(command, project.folder, project.environment(), width=width)


def in_log(project: Project, *command: str) -> Shown:
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=240, check=False,
    )  # fmt: skip
    return Shown(done.returncode, done.stdout)


@pytest.fixture
def with_make(project: Project) -> Project:
    shutil.copyfile(ROOT / "Makefile", project.path("Makefile"))
    return project


@pytest.fixture(scope="module")
def failing(built: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Shown]:
    """The project with a reference that no area but a city meets, after `make all` into a log."""
    project = built.copy(tmp_path_factory.mktemp("failing") / "project")
    shutil.copyfile(ROOT / "Makefile", project.path("Makefile"))
    project.configure(validation__enabled=True, validation__population={"table": None, "max_rel_error": 0.05})
    return project, in_log(project, *MAKE, "all")


def rows(text: str) -> dict[str, list[str]]:
    """The closing table: area type → its cells up to the MB of the files, by column."""
    lines = text.splitlines()
    names = re.split(r"\s{2,}", lines[0].strip())
    cells = (re.split(r"\s{2,}", line.strip()) for line in lines[1:6])
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def test_make_all_in_a_terminal_ends_with_the_whole_table(with_make: Project) -> None:
    with_make.change_weights(["NC-04"])
    shown = in_terminal(with_make, *MAKE, "all")
    assert shown.status == 0, shown.text
    assert "Workflow Progress" in shown.text
    # Snakemake announces the plan and `all` alone; the bar knows of the areas before they start, so a job is little.
    told = [int(per_cent) for per_cent in re.findall(r"Total Progress[^%\n]*?(\d+)%", shown.text)]
    assert any(0 < per_cent < 10 for per_cent in told), told
    table = rows(shown.after("areas  "))
    assert {name: (row["files"], row["built now"]) for name, row in table.items()} == {
        "national": ("1/1", "1"), "states": ("5/5", "1"), "districts": ("6/6", "1"), "cities": ("1/1", "0"),
        "custom": ("1/1", "1"),
    }  # fmt: skip
    assert "results/validation/report.html" in shown.after("Report: make report")

    again = in_terminal(with_make, *MAKE, "resume")
    assert again.status == 0, again.text
    assert "Nothing to be done" in again.text
    assert again.text.count("specific profile") == 1
    report = in_terminal(with_make, *MAKE, "report", "CONFIG=config/config.yaml")
    assert report.status == 0, report.text
    assert with_make.path("results/validation/report.html").is_file()


def test_a_log_of_failing_areas_is_short_and_ends_with_the_reasons(failing: tuple[Project, Shown]) -> None:
    _, shown = failing
    assert shown.status == 2
    lines = shown.text.splitlines()
    assert len(lines) < 70, shown.text
    assert sum(" %  " in line for line in lines) <= 20
    assert not any(word in shown.text for word in ("CalledProcessError", "Select jobs", "Finished jobid"))
    told = [line for line in lines if re.match(r"\S+ failed: ", line)]
    assert len(told) == 12
    assert all("persons, reference 700,000" in line or "persons, reference" in line for line in told)
    check_last_lines(shown)


@pytest.mark.parametrize(
    "command",
    [
        (*MAKE, "resume"),
        ("snakemake", "--cores", "2", "--quiet", "all", "--", "all_states", "all_districts", "national"),
    ],
    ids=["make resume", "quiet all"],
)
def test_failing_areas_in_a_terminal(failing: tuple[Project, Shown], command: tuple[str, ...]) -> None:
    project, _ = failing
    shown = in_terminal(project, *command)
    assert shown.status in (1, 2)
    assert "CalledProcessError" not in shown.text
    check_last_lines(shown)


def check_last_lines(shown: Shown) -> None:
    table = rows(shown.after("areas  "))
    assert {name: row["failed"] for name, row in table.items()} == {
        "national": "1", "states": "5", "districts": "6", "cities": "0", "custom": "0",
    }  # fmt: skip
    last = [line.strip() for line in shown.after("FAILED: ").splitlines() if not line.startswith("make: ")]
    assert last[0].startswith("FAILED: 12 of 14 areas.")
    assert last[1].startswith("12 areas: population: ")
    assert "more than 5.0% off" in last[1]
    assert last[1].endswith(f"; {KEY} decides")
    assert "districts AK-01, DC-01, NC-01, NC-04, NY-12, VA-02" in last[2]
    assert "The same command again goes on from here." in last[3]


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\S+)", help_text, re.MULTILINE)) == targets
    recipes = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    assert recipes == targets  # none without a recipe, none without a name


@pytest.mark.parametrize(("answer", "kept"), [("n", True), ("", True), ("yes please", True), ("y", False)])
def test_make_clean_asks_a_person(tmp_path: Path, answer: str, kept: bool) -> None:
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    (tmp_path / "results").mkdir()
    asked = run_in_terminal(["make", "clean"], tmp_path, os.environ, typed=f"{answer}\n")
    assert "This deletes:" in asked.text
    assert "results" in asked.text
    assert (tmp_path / "results").is_dir() == kept
    assert ("Nothing was deleted." in asked.text) == kept


def test_make_clean_says_what_it_deletes_where_nobody_can_answer(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    (tmp_path / "results").mkdir()
    done = subprocess.run(
        ["make", "clean"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert "results" in done.stdout
    assert not (tmp_path / "results").exists()
