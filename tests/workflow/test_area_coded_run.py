"""A run whose dataset has weights and places of its own: no package, no block tables, one rule fewer per package."""

import h5py
import pytest
from small_project import ALL, DISTRICTS, Project, make_project, write_coded
from test_target_records import without_the_model
from validation_world import write_database

from local_h5.contracts.records import read_record

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def coded(snapshots, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Nothing has run in it. There are no block tables and no package."""
    project = make_project(tmp_path_factory.mktemp("coded") / "project", snapshots)
    for path in project.path("inputs").iterdir():
        if path.name != "districts.csv":
            path.unlink()
    write_coded(project.path("inputs/coded.h5"))
    project.configure(
        inputs__weights=None,
        inputs__geography=None,
        inputs__dataset="inputs/coded.h5",
        inputs__tables={"block_districts": None, "block_crosswalk": None, "county_cbsa": None},
        validation__enabled=True,
        validation__population={"table": None, "max_rel_error": 1.0},
    )
    return project


@pytest.fixture(scope="module")
def plan_before(coded: Project) -> tuple[dict, str]:
    return coded.plan(), coded.run("--dry-run", "all").text


@pytest.fixture(scope="module")
def built_coded(coded: Project, plan_before: object) -> tuple[Project, str]:
    outcome = coded.run()
    assert outcome.built == ALL
    return coded, outcome.text


def test_the_plan_says_whose_weights_and_places_they_are(plan_before: tuple[dict, str]) -> None:
    plan, text = plan_before
    assert plan["dataset"]["households"] == 13
    assert plan["dataset"]["without"] == {
        "households_without_county": 2, "households_without_district": 2, "households_without_puma": 1,
    }  # fmt: skip
    assert plan["dataset"]["takeup_kept"] == ["takes_up_snap_if_eligible"]
    assert "takes_up_aca_if_eligible" in plan["dataset"]["takeup_absent"]
    said = "Weights and places are the dataset's own: 13 households, 2 without a county, 2 without a district"
    assert said in text
    assert "fetch" not in text


def test_every_area_is_built_and_passes_its_checks(built_coded: tuple[Project, str]) -> None:
    project, text = built_coded
    assert "districts (and 2 without a district), states and nation agree." in text
    assert "DC has no value of puma anywhere: the dataset has none" in text
    assert "Traceback" not in text
    assert project.local_h5("verify").status == 0
    assert {path.name for path in project.path("results/prepared/dataset").iterdir()} == {
        "blocks.h5", "clones.h5", "takeup.h5",
    }  # fmt: skip
    with h5py.File(project.h5("states/NC")) as state, h5py.File(project.h5("districts/NC-01")) as district:
        assert state["household_id/2024"][()].tolist() == [108, 109, 110, 112]
        assert district["household_id/2024"][()].tolist() == [108, 109]
    assert project.run("all").built == set()


@pytest.mark.slow
def test_every_area_is_checked_against_targets(built_coded: tuple[Project, str], tmp_path) -> None:
    """The dataset has no blocks, and a file that is checked alone says so itself."""
    project = built_coded[0].copy(tmp_path / "project")
    without_the_model(project)
    persons = [("person_count", [("state_fips", "==", "37")], 4.0), ("age", [("state_fips", "==", "37")], 1.0)]
    write_database(project.path("inputs/targets.db"), persons)
    project.configure(inputs__targets="inputs/targets.db", validation__level="targets")
    assert project.run("all").built == set()
    records = {area: read_record(project.path(f"results/validation/targets/{area}.json")) for area in ALL}
    assert {record.status for record in records.values()} <= {"failed", "skipped"}
    assert {row.variable: row.value for row in records["states/NC"].targets}.keys() == {"person_count", "age"}
    assert all(row.value for row in records["states/NC"].targets)
    assert "Nothing to be done" in project.run("all").text


@pytest.mark.slow  # every area twice more
def test_every_area_as_tables(built_coded: tuple[Project, str], tmp_path) -> None:
    project = built_coded[0].copy(tmp_path / "project")
    project.configure(output__form="tables")
    (group,) = project.plan()["groups"]
    assert "configuration changed" in group["words"]
    assert len(group["areas"]) == len(ALL)
    assert project.run("all").built == ALL
    assert project.local_h5("verify", "--deep").status == 0
    with h5py.File(project.h5("districts/NC-01")) as file:
        assert file["household/table"].fields("household_id")[()].tolist() == [108, 109]
    project.local_h5("report")
    # The nation, as tables, is a dataset that gives the same files.
    before = project.bytes_of_results()
    project.h5("national/US").rename(project.path("inputs/nation.h5"))
    project.configure(inputs__dataset="inputs/nation.h5")
    assert project.run("all").built == ALL
    again = project.bytes_of_results()
    assert {n: d for n, d in again.items() if n.endswith(".h5")} == {
        n: d for n, d in before.items() if n.endswith(".h5")
    }


def test_a_changed_row_rebuilds_its_district_state_and_nation(built_coded: tuple[Project, str], tmp_path) -> None:
    project = built_coded[0].copy(tmp_path / "project")
    write_coded(project.path("inputs/coded.h5"), raise_income_of=9)  # in NC-01
    plan = project.plan()
    assert not plan["groups"]
    assert len(plan["undecided"]["areas"]) == len(ALL)
    assert project.run("all").built == {"national/US", "states/NC", "districts/NC-01"}
    assert project.run("all").built == set()
    assert len(DISTRICTS) == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"takeup__filter": ["takes_up_dc_ptc"]}, "takeup.filter: expected null"),
        ({"inputs__weights": "from_dataset", "inputs__geography": "inputs/x.npz"}, "for weights alone"),
        ({"inputs__weights": "from_dataset", "inputs__dataset": None}, "dataset: expected a path"),
        ({"inputs__national": {"weights": "w.npy", "geography": "g.npz"}}, "national: expected null"),
        ({"inputs__year": 2030}, "expected 2030, as inputs.year says, found 2024"),
        ({"inputs__units": {"family": "household"}}, "family: expected no table"),
        ({"output__form": "table"}, "output.form: expected one of periods, tables, found 'table'"),
        ({"output__form": "tables", "output__compression": "lzf"}, "output: compression: expected none or gzip"),
    ],
)
def test_a_wrong_configuration_is_one_line(coded: Project, tmp_path, changes: dict, said: str) -> None:
    project = coded.copy(tmp_path / "project")
    project.configure(**changes)
    outcome = project.local_h5("plan", check=False)
    assert outcome.status
    assert outcome.text.startswith("error: ")
    assert said in outcome.text
    assert outcome.text.count("\n") == 1


def test_it_may_be_said_in_words(coded: Project, tmp_path) -> None:
    project = coded.copy(tmp_path / "project")
    project.configure(inputs__weights="from_dataset", inputs__geography="from_dataset")
    assert project.plan()["dataset"]["households"] == 13
