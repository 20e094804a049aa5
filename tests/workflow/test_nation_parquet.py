"""With ``output.nation_parquet`` a run also splits the nation by district and publishes that; without it, nothing."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
from small_project import ALL, DISTRICTS, Project

import pe_data
from local_h5.inputs.membership import ENTITIES
from pe_data.describe.range_index import RangeIndex
from pe_data.documents.collection import Collection, Member
from pe_data.read.lookup import entry_for, shown
from pe_data.read.options import Options

pytestmark = pytest.mark.workflow

FILES = {f"{role}.parquet" for role in (*ENTITIES, "index")}
PARTS = {f"national/US/{role}" for role in (*ENTITIES, "index")}
COLLECTION = "pe-data://us/local_areas@latest"
VARIABLES = ["age", "employment_income_before_lsr", "household_weight", "county_fips", "tax_unit_id"]


@pytest.fixture(scope="module")
def split_once(built: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project after a second run, with the key; do not change it."""
    project = built.copy(tmp_path_factory.mktemp("split") / "project")
    project.configure(output__nation_parquet=True)
    assert not project.run().built
    return project


@pytest.fixture
def split(split_once: Project, tmp_path: Path) -> Project:
    return split_once.copy(tmp_path / "project")


def folder(project: Project) -> Path:
    return project.path("results/national/US")


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def files(project: Project) -> dict[str, str]:
    return {path.name: digest(path) for path in folder(project).iterdir()}


def source(project: Project) -> str:
    index = folder(project) / "index.parquet"
    return RangeIndex.read(index, str(index)).head.source


def afterwards(project: Project) -> str:
    return "\n".join(f"{step['name']}: {', '.join(step['reasons'])}" for step in project.plan()["afterwards"])


def publish(project: Project, store: Path) -> str:
    return project.run("publish", "--config", f"store={{url: '{store}', allow_removal: true}}").text


def members(store: Path) -> Mapping[str, Member]:
    found = shown(COLLECTION, Options.of(store=str(store)))
    assert isinstance(found, Collection)
    return found.members


def edited(project: Project) -> None:
    path = folder(project) / "person.parquet"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    os.utime(path, (1e9, 1e9))


def test_a_published_district_is_read_by_ranges(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, cache = tmp_path / "store", tmp_path / "cache"
    monkeypatch.setenv("PE_DATA_STORE", str(store))
    monkeypatch.setenv("PE_DATA_CACHE", str(cache))
    assert afterwards(project) == ""
    project.configure(output__nation_parquet=True)
    assert afterwards(project) == "nation_parquet: not run"
    publish(project, store)  # makes the split first
    assert set(files(project)) == FILES
    assert source(project) == digest(project.h5("national/US"))
    assert project.local_h5("plan").text.startswith("Nothing to do")
    for name in ("logs/nation/nation_parquet.log", "benchmarks/nation/nation_parquet.tsv"):
        assert project.path(f"results/{name}").is_file()

    for district in DISTRICTS:
        cut = pe_data.open(COLLECTION, VARIABLES, area=district)
        own = pe_data.open(f"pe-data://us/local_areas/districts/{district}@latest", VARIABLES)
        assert set(cut) == set(own)
        for entity, frame in own.items():
            pd.testing.assert_frame_equal(cut[entity], frame)
    part = digest(folder(project) / "person.parquet")
    assert not [path for path in cache.rglob("*.parquet") if part in path.name], "ranges were read, and not the file"

    assert set(members(store)) == ALL | PARTS
    whole, person = (
        entry_for(f"pe-data://us/local_areas/{name}@latest", Options.of()).manifest
        for name in ("national/US", "national/US/person")
    )
    assert (person.build, person.inputs) == (whole.build, whole.inputs)
    release = json.loads(project.path("results/release_manifest.json").read_text())
    assert {name for name, one in release["artifacts"].items() if one["kind"] != "microdata"} == PARTS

    edited(project)
    assert afterwards(project) == "nation_parquet: person damaged"
    (folder(project) / "family.parquet").rename(tmp_path / "family.parquet")
    said = project.local_h5("verify", check=False)
    assert said.status == 1
    assert "corrupt: national/US/person.parquet: not the file that was written" in said.text
    assert "missing: national/US/family.parquet: not there" in said.text
    assert "19 of 21 files are as they should be" in said.text
    (tmp_path / "family.parquet").rename(folder(project) / "family.parquet")
    assert "After that:\n  nation_parquet: person damaged" in project.local_h5("plan").text
    script = ["scripts/publish_collection.py", "--config", "results/prepared/config.json"]
    outcome = project.command(*script, "--release-manifest", "r.json", "--store", str(tmp_path / "other"), check=False)
    assert outcome.status == 1
    assert "US has to be made again (person damaged). `snakemake nation_parquet` makes it" in outcome.text
    assert not (tmp_path / "other/us").exists()


# --- with more runs -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_split_is_made_once(split_once: Project) -> None:
    assert set(files(split_once)) == FILES
    assert "Nothing to be done" in split_once.run().text
    for path in (split_once.h5("national/US"), *folder(split_once).iterdir()):
        os.utime(path, (4e9, 4e9) if path.name == "person.parquet" else (1e9, 1e9))  # dates decide nothing
    assert "Nothing to be done" in split_once.run().text


@pytest.mark.slow
def test_without_the_key_nothing_is_made_planned_or_published(built: Project, split: Project, tmp_path: Path) -> None:
    assert not folder(built).exists()
    split.configure(output__nation_parquet=False)
    edited(split)
    assert split.local_h5("plan").text.startswith("Nothing to do")
    assert "Nothing to be done" in split.run().text
    publish(split, tmp_path / "store")
    assert set(members(tmp_path / "store")) == ALL


def new_weights(project: Project) -> None:
    project.change_weights(["NC-04"])


def cut_off(project: Project) -> None:
    """A job that was killed: some files are new, one is half, and there is no index yet."""
    (folder(project) / "index.parquet").unlink()
    path = folder(project) / "tax_unit.parquet"
    path.write_bytes(path.read_bytes()[:100])
    (folder(project) / ".tax_unit.parquet.1.0123456789ab.tmp").write_bytes(b"PAR1")


def gone(project: Project) -> None:
    shutil.rmtree(folder(project))


def trace_lost(project: Project) -> None:
    project.path("results/prepared/traces/nation_parquet.json").unlink()


def other_code(project: Project) -> None:
    project.edit("scripts/nation_parquet.py", '"county_fips", "puma")', '"county_fips")')


def other_form(project: Project) -> None:
    project.configure(output__form="tables")


def everything_prepared_lost(project: Project) -> None:
    shutil.rmtree(project.path("results/prepared"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says", "same"),
    [
        (new_weights, "nation_parquet: national/US is built", False),
        (other_form, "nation_parquet: national/US is built", False),
        (edited, "nation_parquet: person damaged", True),
        (cut_off, "nation_parquet: tax_unit damaged, index missing", True),
        (gone, "index missing", True),
        (trace_lost, "nation_parquet: not run", True),
        (everything_prepared_lost, "nation_parquet: not run", True),
        (other_code, "nation_parquet: code changed", False),
    ],
)
def test_it_is_made_again_when_its_content_is_not_that_of_the_nation(
    split: Project, change: Callable[[Project], None], says: str, same: bool
) -> None:
    before = files(split)
    change(split)
    assert says in afterwards(split)
    split.run("all")
    assert (files(split) == before) == same
    assert source(split) == digest(split.h5("national/US"))
    assert "Nothing to be done" in split.run("all").text


@pytest.mark.slow
def test_other_areas_do_not_ask_for_it(split: Project) -> None:
    gone(split)
    assert "Nothing to be done" in split.run("all_districts").text
    assert "After that" not in split.run("results/states/NC.h5", "-n").text
    for target in ("national", "nation_parquet", "results/national/US/index.parquet", "all"):
        assert "After that:\n  nation_parquet: household missing, " in split.run(target, "-n").text
    split.run("national")
    assert set(files(split)) == FILES


@pytest.mark.slow
def test_a_nation_that_is_not_approved_is_not_split(split: Project) -> None:
    """It fails its checks, so that what was split before stays as it is and nothing is published."""
    before = files(split)
    split.configure(validation__enabled=True, validation__population={"table": None, "max_rel_error": 1e-9})
    assert "After that:\n  nation_parquet: national/US is built" in split.local_h5("plan").text
    outcome = split.run("all", "-k", check=False)
    assert outcome.status == 1
    assert "national/US" in outcome.built
    assert files(split) == before
    assert "nation_parquet" in afterwards(split)


@pytest.mark.slow
def test_the_report_waits_for_the_split(split: Project) -> None:
    """What would be published is a part of it."""
    gone(split)
    split.run("report")
    assert set(files(split)) == FILES
    page = split.path("results/validation/report.html").read_text()
    assert "Not releasable" not in page
    assert "Nothing to be done" in split.run("report").text
