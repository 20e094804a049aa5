"""Text of the configuration is a name and nothing else: to the shell, to Snakemake's patterns, to ``str.format``."""

import re
import shutil

import pytest
import yaml
from small_project import ROOT, Project, make_project

pytestmark = pytest.mark.workflow

ODD = "a & b; c 'd' \"e\" $HOME *?[f] #é \\g %s!|(h)"


@pytest.fixture
def fresh(snapshots, tmp_path) -> Project:
    return make_project(tmp_path / "project", snapshots)


def move_inputs(project: Project, folder: str) -> None:
    """Let every input, table and list of the configuration lie in a folder of that name."""
    path = project.path("config/config.yaml")
    config = yaml.safe_load(path.read_text())
    target = project.path(folder)
    shutil.move(project.path("inputs"), target / "inputs")
    shutil.copytree(project.path("config/takeup"), target / "takeup")
    shutil.copyfile(project.path("config/variables.yaml"), target / "variables.yaml")
    config["variables"] = f"{folder}/variables.yaml"
    config["takeup"]["programmes"] = f"{folder}/takeup/programmes.yaml"
    config["areas"]["districts"] = f"{folder}/inputs/districts.csv"
    for section in (config["inputs"], config["inputs"]["tables"]):
        for key, value in section.items():
            if isinstance(value, str):
                section[key] = f"{folder}/{value}"
    path.write_text(yaml.safe_dump(config))


def test_a_run_whose_every_path_has_signs_of_the_shell(fresh: Project) -> None:
    move_inputs(fresh, ODD)
    results = f"{ODD}/out"
    path = fresh.path("config/config.yaml")
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "results": results}))
    outcome = fresh.run("-j", "2", f"{results}/districts/NC-01.h5", "national")
    assert outcome.built == {"districts/NC-01", "national/US"}
    assert "Traceback" not in outcome.text
    before = sorted(path.name for path in fresh.folder.iterdir())
    assert {"results", "inputs", "national", "a"}.isdisjoint(before)  # nothing beside the folder that was named
    assert "2 of 14 files are as they should be." in fresh.local_h5("verify", check=False).text
    assert fresh.run(f"{results}/districts/NC-01.h5", "national").built == set()


def test_a_refused_path_leaves_nothing_behind(fresh: Project) -> None:
    before = set(fresh.folder.iterdir())
    for refused in (
        fresh.local_h5("plan", "--config", "results=run{1}", check=False),
        fresh.run("all", "--config", "results=~/res", check=False),
    ):
        assert refused.status == 1
        assert "Traceback" not in refused.text
        assert [": results: expected a path without " in line for line in lines_of_error(refused.text)] == [True]
    assert {path.name for path in set(fresh.folder.iterdir()) - before} <= {".cache", ".snakemake"}  # Snakemake's own


def lines_of_error(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_no_rule_puts_text_into_a_shell_without_quotes() -> None:
    """Every placeholder of a shell command is quoted, and no command is put together by an f-string."""
    commands = 0
    for path in (*sorted((ROOT / "rules").glob("*.smk")), ROOT / "Snakefile"):
        text = path.read_text()
        blocks = re.findall(r"^    shell:\n((?:        .*\n)+)", text, re.MULTILINE)
        blocks += re.findall(r"\bshell\(.*", text)
        commands += len(blocks)
        for block in blocks:
            placeholders = re.findall(r"(?<!\{)\{([^{}]*)\}(?!\})", block)
            assert placeholders, f"{path.name}: {block}"
            assert all(name.endswith(":q") for name in placeholders), f"{path.name}: {block}"
            assert not re.search(r"""(?<![\w])[fF][rR]?["']""", block), f"{path.name}: {block}"
    assert commands >= 18
    # What rules read is the checked configuration, never Snakemake's own.
    for path in sorted((ROOT / "rules").glob("*.smk")):
        assert not re.search(r"(?<![.\w])config\[", path.read_text()), path.name
