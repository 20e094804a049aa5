"""The files by which a project shows what it is: citation, metadata, workflow of the forge, conda, example."""

import json
import pkgutil
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from trove_classifiers import classifiers

import pe_data
from pe_data.maps.districts import all_districts
from pe_data.maps.draw import NO_VALUE

ROOT = Path(__file__).parents[2]
PROJECTS = ("pyproject.toml", "packages/pe-microdata/pyproject.toml", "packages/pe-microdata-gateway/pyproject.toml")


def project(file: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / file).read_text(encoding="utf-8"))["project"]


def test_the_citation_is_of_this_version() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    ours = project("pyproject.toml")
    assert (said["version"], said["license"]) == (ours["version"], ours["license"])
    assert said["authors"] == [{"name": "the contributors"}]
    assert not {"doi", "url", "repository-code", "date-released"} & set(said)


@pytest.mark.parametrize("file", PROJECTS)
def test_metadata_of_a_distribution(file: str) -> None:
    ours = project(file)
    assert ours["authors"] == [{"name": "the contributors"}]
    assert len(ours["keywords"]) >= 4
    assert set(ours["classifiers"]) <= classifiers
    assert ours["classifiers"] == sorted(set(ours["classifiers"]))
    assert not [one for one in ours["classifiers"] if one.startswith("License ::")]  # the expression says it
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", ours["requires-python"]).groups()  # type: ignore[union-attr]
    versions = {one for one in ours["classifiers"] if re.fullmatch(r".*Python :: 3\.\d+", one)}
    assert versions == {f"Programming Language :: Python :: 3.{minor}" for minor in range(int(low), int(high))}


def test_the_workflow_of_the_forge_runs_what_everybody_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert len(commands) == 1
    assert commands[0].endswith(".ci/run")
    assert workflow["permissions"] == {"contents": "read"}
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_the_environment_of_conda_takes_the_lock() -> None:
    said = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [one for one in said["dependencies"] if isinstance(one, str)]
    (pip,) = [one["pip"] for one in said["dependencies"] if isinstance(one, dict)]
    assert pip == ["--require-hashes", "-r requirements.lock"]
    minor = next(int(one.partition("=3.")[2]) for one in plain if one.startswith("python="))
    assert f"Programming Language :: Python :: 3.{minor}" in project("pyproject.toml")["classifiers"]


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_kept_without_what_it_printed(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_picture_of_the_readme_is_a_map_of_every_district() -> None:
    """`tests/acceptance/test_snippets.py` compares it with what the lines in the README draw."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^!\[[^\]]+\]\((\S+)\)$", readme, re.MULTILINE)
    assert f'"build/{Path(shown).name}"' in readme  # the line that draws it
    path = ROOT / shown
    assert path.stat().st_size < 150_000
    picture = ET.fromstring(path.read_bytes())
    cells = picture.findall(".//*[@data-area]")
    assert {cell.get("data-area") for cell in cells} == set(all_districts())
    assert not [cell for cell in cells if cell.get("class") == NO_VALUE]
    assert "demonstration" in (picture.get("aria-label") or "")


def test_the_first_page_of_the_site_names_every_page() -> None:
    docs = ROOT / "docs"
    first = (docs / "index.md").read_text(encoding="utf-8")
    linked = {(docs / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", first)}
    pages = {path for path in docs.rglob("*.md") if path.parent.name != "decisions"} - {docs / "index.md"}
    assert pages - linked == set()


def test_the_reference_has_every_public_name() -> None:
    """The site is built apart from the tests; a name that moved would be seen only there."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    listed = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    for name in listed:
        pkgutil.resolve_name(name)
    assert {".".join(home) for home in pe_data._HOMES.values()} - set(listed) == set()
