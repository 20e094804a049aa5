"""The workflow in another folder, and as a module of another workflow."""

import shutil

import pytest
from small_project import ALL, ROOT, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

MODULE = """
configfile: "config/config.yaml"

module areas:
    snakefile: "{root}/Snakefile"
    config: config

use rule * from areas

rule mine:
    input: "results/published/national/US.json"
    output: "mine.txt"
    shell: "cp {{input}} {{output}}"
"""


def without_the_workflow(project: Project) -> None:
    """Leave inputs and a configuration, as a folder of one's own has."""
    for name in ("rules", "scripts", "schemas", "profiles", "src", "results", ".snakemake"):
        shutil.rmtree(project.path(name))
    project.path("Snakefile").unlink()
    for path in project.path("config").iterdir():
        if path.name != "config.yaml":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_in_another_folder_and_as_a_module(project: Project) -> None:
    """One after the other: the real script loads the model for the first, and what it prepared stays."""
    without_the_workflow(project)
    run = ("-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-j", "2", "all_cities")
    assert project.command(*run, "-d", str(project.folder)).built == {"cities/NYC"}
    assert project.local_h5("plan").status == 0
    assert "Nothing to be done" in project.command(*run, "-d", str(project.folder)).text

    project.path("Snakefile").write_text(MODULE.format(root=ROOT))
    outcome = project.run("mine")
    assert "national/US" in outcome.built
    assert "prepare_snapshot" not in outcome.text
    assert project.path("mine.txt").exists()
    assert project.run("all").built == ALL - {"national/US", "cities/NYC"}
