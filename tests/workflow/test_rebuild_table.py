"""After a change, one plain run builds exactly the areas that it concerns, as the plan said, and the next run none."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
import pytest
import yaml
from small_project import ALL, DISTRICTS, Project, change_one_variable, district_of_rows

from local_h5.inputs.area_columns import area_columns_of

pytestmark = pytest.mark.workflow

NC = {"districts/NC-01", "districts/NC-04", "states/NC", "national/US", "custom/durham"}
YEARS_AGO = 1_600_000_000


def nothing(project: Project) -> None:
    pass


def touch_everything(project: Project) -> None:
    for path in project.folder.rglob("*"):
        if path.is_file() and "results" not in path.parts and ".snakemake" not in path.parts:
            os.utime(path)


def rewrite_with_the_same_bytes(project: Project) -> None:
    for path in project.path("inputs").iterdir():
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)


def new_weights_under_an_older_time(project: Project) -> None:
    project.change_weights(["NC-04"])
    os.utime(project.path("inputs/weights.npy"), (YEARS_AGO, YEARS_AGO))


def new_weights_in_two_districts(project: Project) -> None:
    project.change_weights(["NC-04", "VA-02"])


def a_link_to_older_weights(project: Project) -> None:
    weights = project.path("inputs/weights.npy")
    weights.rename(project.path("inputs/kept.npy"))
    weights.symlink_to("kept.npy")
    new_weights_under_an_older_time(project)


def another_value_in_the_source(project: Project) -> None:
    change_one_variable(project.path("inputs/source.h5"))


def medicaid_rate_of_north_carolina(project: Project) -> None:
    path = project.path("config/takeup/medicaid.yaml")
    lines = path.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip().startswith(("NC:", "'NC':", '"NC":')))
    lines[place] = lines[place].split(":")[0] + ": 0.01"
    path.write_text("\n".join(lines) + "\n")


def snap_rate(project: Project) -> None:
    project.edit("config/takeup/snap.yaml", "0.82", "0.5")


def value_code(project: Project) -> None:
    project.edit("src/local_h5/takeup/draws.py", "\n\n\ndef ", "\n\nSHIFT = 1\n\n\ndef ")


def of_an_older_version(project: Project) -> None:
    """Other code, no traces, and what version 0.1.0 left behind."""
    value_code(project)
    prepared = project.path("results/prepared")
    for name in ("orders", "stamps", "marks"):
        shutil.copytree(prepared / "traces", prepared / name)
    shutil.rmtree(prepared / "traces")
    shutil.rmtree(prepared / "requests")


def comments_docs_and_messages(project: Project) -> None:
    path = project.path("src/local_h5/takeup/draws.py")
    path.write_text(path.read_text() + "\n# a remark\n")
    project.edit("src/local_h5/prepared/clones.py", "none of {len(self):,}", "not one of {len(self):,}")
    project.edit("scripts/build_area.py", "H5 to write, at its place", "the H5, at its place")
    project.path("docs").mkdir()
    project.path("docs/new.md").write_text("text")


def snakemake_metadata_lost(project: Project) -> None:
    shutil.rmtree(project.path(".snakemake"))


def metadata_lost_and_a_file_of_yesterday(project: Project) -> None:
    snakemake_metadata_lost(project)
    h5 = project.h5("districts/VA-02")
    h5.write_bytes(h5.read_bytes()[:-1] + b"\x01")
    os.utime(h5, (YEARS_AGO, YEARS_AGO))


def everything_but_bytes(project: Project) -> None:
    """All that must not matter, at once."""
    touch_everything(project)
    rewrite_with_the_same_bytes(project)
    comments_docs_and_messages(project)
    snakemake_metadata_lost(project)


def files_at_fault(project: Project) -> None:
    """All that can be wrong with files, at once, after a restore without metadata and requests."""
    metadata_lost_and_a_file_of_yesterday(project)
    truncated(project)
    edited_by_hand(project)
    sidecar_missing(project)
    shutil.rmtree(project.path("results/prepared/requests"))


def everything_prepared_lost(project: Project) -> None:
    shutil.rmtree(project.path("results/prepared"))
    snakemake_metadata_lost(project)


def requests_lost_and_an_edited_file(project: Project) -> None:
    shutil.rmtree(project.path("results/prepared/requests"))
    project.sidecar("districts/NC-01").unlink()


def truncated(project: Project) -> None:
    h5 = project.h5("states/NC")
    stat = h5.stat()
    with h5.open("r+b") as stream:
        stream.truncate(stat.st_size // 2)
    os.utime(h5, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def edited_by_hand(project: Project) -> None:
    with h5py.File(project.h5("cities/NYC"), "r+") as file:
        file["household_weight/2024"][0] = 7.0


def sidecar_missing(project: Project) -> None:
    project.sidecar("national/US").unlink()


def swapped(project: Project) -> None:
    one, other = project.h5("districts/NC-01"), project.h5("districts/NC-04")
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def older_pair_restored(project: Project) -> None:
    """A file and its sidecar of before the last change come back with their times, as from a backup."""
    h5, sidecar = project.h5("districts/NC-04"), project.sidecar("districts/NC-04")
    kept = project.path("backup")
    kept.mkdir()
    shutil.copy2(h5, kept), shutil.copy2(sidecar, kept)
    project.change_weights(["NC-04"])
    project.run()
    shutil.copy2(kept / h5.name, h5), shutil.copy2(kept / sidecar.name, sidecar)


def prepared_file_damaged(project: Project) -> None:
    path = project.path("results/prepared/regional/clones.h5")
    path.write_bytes(path.read_bytes()[:1000])


def trace_lost(project: Project) -> None:
    project.path("results/prepared/traces/takeup_regional.json").unlink()


def times_of_1970(project: Project) -> None:
    for path in project.path("results").rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))


def input_of_the_future(project: Project) -> None:
    os.utime(project.path("inputs/source.h5"), (4e9, 4e9))


def area_added(project: Project) -> None:
    path = project.path("config/config.yaml")
    config = yaml.safe_load(path.read_text())
    config["areas"]["custom"].append(
        {"id": "coast", "filters": [{"field": "state", "op": "in", "value": ["37", "51"]}]}
    )
    path.write_text(yaml.safe_dump(config))


@dataclass(frozen=True)
class Row:
    change: Callable[[Project], None]
    built: set[str]
    says: str = ""
    args: tuple[str, ...] = ()
    undecided: bool = False
    slow: bool = False


ROWS = [
    Row(everything_but_bytes, set(), "Nothing to do"),
    Row(
        new_weights_under_an_older_time,
        NC - {"districts/NC-01"},
        "weights changed in 1 district: NC-04 → 1 district, 1 state, nation, custom durham",
    ),
    Row(another_value_in_the_source, ALL, "all 14 areas (source changed"),
    Row(medicaid_rate_of_north_carolina, NC, "take-up rates changed in 2 districts: NC-01, NC-04"),
    Row(snap_rate, ALL, "all 14 areas (take-up rates changed)", slow=True),
    Row(value_code, ALL, "all 14 areas (code that decides values changed)"),
    Row(nothing, ALL, "all 14 areas (configuration changed)", ("--config", "output={compression: lzf}"), slow=True),
    Row(nothing, ALL, "all 14 areas (configuration changed)", ("--config", "output={form: tables}"), slow=True),
    Row(
        nothing,
        {"districts/AK-01", "districts/DC-01", "states/AK", "states/DC", "national/US"},
        "at-large code changed in 2 districts: AK-01, DC-01 → 2 districts, 2 states, nation",
        ("--config", "areas={at_large_code: '01'}"),
    ),
    Row(files_at_fault, {"districts/VA-02", "states/NC", "cities/NYC", "national/US"}, "H5 differs from its sidecar"),
    Row(everything_prepared_lost, set(), "undecided", undecided=True),
    Row(prepared_file_damaged, set(), "clones damaged", slow=True),
    Row(area_added, {"custom/coast"}, "not built: coast → custom coast"),
    # The same one by one, and more.
    Row(nothing, set(), "Nothing to do", slow=True),
    Row(touch_everything, set(), "Nothing to do", slow=True),
    Row(rewrite_with_the_same_bytes, set(), "Nothing to do", slow=True),
    Row(comments_docs_and_messages, set(), "Nothing to do", slow=True),
    Row(snakemake_metadata_lost, set(), "Nothing to do", slow=True),
    Row(
        new_weights_in_two_districts,
        (NC - {"districts/NC-01"}) | {"districts/VA-02", "states/VA"},
        "weights changed in 2 districts: NC-04, VA-02 → 2 districts, 2 states, nation, custom durham",
        slow=True,
    ),
    Row(a_link_to_older_weights, NC - {"districts/NC-01"}, "weights changed in 1 district: NC-04", slow=True),
    Row(metadata_lost_and_a_file_of_yesterday, {"districts/VA-02"}, "H5 differs from its sidecar", slow=True),
    Row(requests_lost_and_an_edited_file, {"districts/NC-01"}, "sidecar missing", slow=True),
    Row(truncated, {"states/NC"}, "H5 differs from its sidecar", slow=True),
    Row(edited_by_hand, {"cities/NYC"}, "H5 differs from its sidecar", slow=True),
    Row(sidecar_missing, {"national/US"}, "sidecar missing", slow=True),
    Row(swapped, {"districts/NC-01", "districts/NC-04"}, "H5 differs from its sidecar", slow=True),
    Row(older_pair_restored, {"districts/NC-04"}, "weights changed in 1 district: NC-04", slow=True),
    Row(of_an_older_version, ALL, "all 14 areas (code that decides values changed)", slow=True),
    Row(trace_lost, set(), "takeup_regional: not run", slow=True),
    Row(times_of_1970, set(), "Nothing to do", slow=True),
    Row(input_of_the_future, set(), "Nothing to do", slow=True),
]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.change.__name__ + "".join(row.args[1:]), marks=[pytest.mark.slow] * row.slow)
        for row in ROWS
    ],
)
def test_one_plain_run_builds_exactly_what_changed(project: Project, row: Row) -> None:
    row.change(project)
    before = project.bytes_of_results()

    plan = project.plan(*row.args)
    said = [group["words"] for group in plan["groups"]]
    said += [f"{step['name']}: {', '.join(step['reasons'])}" for step in plan["steps"]]
    said += ["undecided"] * bool(plan["undecided"]["areas"])
    said += [] if said else ["Nothing to do"]
    assert row.says in "\n".join(said)
    outcome = project.run("all", *row.args)

    assert outcome.built == row.built
    planned = {area.removesuffix(".h5") for group in plan["groups"] for area in group["areas"]}
    undecided = {area.removesuffix(".h5") for area in plan["undecided"]["areas"]}
    assert bool(undecided) == row.undecided
    assert planned == outcome.built - undecided
    after = project.bytes_of_results()
    untouched = {name: digest for name, digest in before.items() if name.split(".")[0] not in row.built}
    assert untouched.items() <= after.items()
    assert_weights_are_in_the_files(project)
    if outcome.built or plan["steps"]:
        outcome = project.run("all", *row.args)
        assert not outcome.built
    assert "Nothing to be done" in outcome.text


def test_at_large_seats_are_written_as_the_configuration_says(built: Project) -> None:
    for area, codes in {"districts/AK-01": {200}, "states/DC": {1100}, "states/NC": {3701, 3704}}.items():
        with h5py.File(built.h5(area)) as file:
            assert set(file["congressional_district_geoid/2024"][()].tolist()) == codes
        said = json.loads(built.sidecar(area).read_text()).get("at_large_code")
        assert said == (None if area == "states/NC" else "00")


def assert_weights_are_in_the_files(project: Project) -> None:
    weights = np.load(project.path("inputs/weights.npy"))
    for name, code in DISTRICTS.items():
        path = project.h5(f"districts/{name}")
        with h5py.File(path) as file:
            weight = area_columns_of(path, file).read("household_weight", "2024")
            assert weight.sum() == pytest.approx(weights[district_of_rows() == code].sum())
