"""What changed between two versions, folders, runs and files."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from diff_helpers import WEIGHTS, write_area, write_run, write_sidecar
from fetch_helpers import WebServer
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import areas, make_item, publish_areas, replace

import pe_data
from pe_data.cli import run
from pe_data.documents.collection import Collection
from pe_data.documents.manifest import Artifact, Entity, Manifest
from pe_data.errors import InputError, InvalidNameError, ObjectNotFoundError
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.names.keys import MEDIA_TYPES, manifest_key
from pe_data.read.diff import compare_sides
from pe_data.read.difference import Pair
from pe_data.read.sides import Facts, Listed, Side, Told
from pe_data.store.base import Store
from pe_data.store.folder import FolderStore
from pe_data.store.opening import open_store
from pe_data.write.publish import publish_artifact
from pe_data.write.upload import Item


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Store and cache below the test's folder, which is where one stands."""
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(place: Path) -> Store:
    return open_store(str(place / "store"))


def publish_folder(folder: Path, run_id: str, *more: str) -> int:
    return run(["publish", str(folder), "us/areas", "--run-id", run_id, "--allow-removal", *more])


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- two collections --------------------------------------------------------------------------------------------------


def test_members_come_go_and_change(store: Store, place: Path) -> None:
    publish_areas(store, areas(place / "1", "districts/CA-01", "districts/NC-01", "states/NC"))
    second = areas(place / "1", "states/NC") | areas(place / "2", "districts/NC-01", "districts/NC-15", salt="2")
    publish_areas(store, second, "r2", allow_removal=True)
    found = pe_data.diff("us/areas@v1", "us/areas@latest")
    assert [one.name for one in found.added] == ["districts/NC-15"]
    assert [one.name for one in found.gone] == ["districts/CA-01"]
    assert [one.name for one in found.changed] == ["districts/NC-01"]
    assert found.same == 1
    assert found
    assert found.changed[0].size_bytes == Pair(15, 16)
    assert (found.before.version, found.before.run_id, found.before.files) == (1, "r1", 3)
    assert found.after.address == f"pe-data://us/areas@sha256:{pe_data.history('us/areas')[0].artifact_sha256}"


def test_the_other_way_round_is_the_mirror_image(store: Store, place: Path) -> None:
    publish_areas(store, areas(place / "1", "a", "b"))
    publish_areas(store, areas(place / "2", "b", "c", salt="2"), "r2", allow_removal=True)
    one, other = pe_data.diff("us/areas@v1", "us/areas@v2"), pe_data.diff("us/areas@v2", "us/areas@v1")
    assert (one.added, one.gone, one.same) == (other.gone, other.added, other.same)
    assert [one.changed[0].size_bytes.before] == [other.changed[0].size_bytes.after]


MANIFEST = Manifest(
    Artifact(sha256_bytes(b"x"), 1, MEDIA_TYPES["h5"]),
    "us",
    "areas",
    (2024,),
    {"person": Entity(rows=1)},
    "CC0-1.0",
    "active",
    "public",
    "1.0",
)
FILES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2))


@settings(max_examples=40, deadline=None)
@given(FILES, FILES)
def test_every_member_is_counted_once(before: dict[str, int], after: dict[str, int]) -> None:
    def side(files: dict[str, int]) -> Side:
        rows = {name: Listed(name, sha256_bytes(bytes([n])), n) for name, n in files.items()}
        return Side(Told("x"), True, rows, lambda _: Facts(MANIFEST, None), None, labelled=True).counted()

    found = compare_sides(side(before), side(after))
    assert len(found.gone) + len(found.changed) + found.same == len(before)
    assert len(found.added) + len(found.changed) + found.same == len(after)
    assert bool(found) == (before != after)
    assert [one.movement for one in found.changed] == sorted((one.movement for one in found.changed), reverse=True)


def test_manifests_are_read_of_changed_members_alone(
    store: Store, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"districts/{n}" for n in range(30)]
    first = areas(place / "1", *names)
    publish_areas(store, first)
    publish_areas(store, first | areas(place / "2", *names[:2], salt="2"), "r2")
    asked: list[str] = []
    opened = FolderStore.open

    def noted(self: FolderStore, key: str, *more: Any, **named: Any) -> Any:
        asked.append(key)
        return opened(self, key, *more, **named)

    monkeypatch.setattr(FolderStore, "open", noted)
    assert len(pe_data.diff("us/areas@v1", "us/areas@v2").changed) == 2
    assert sum(key.endswith(".manifest.json") for key in asked) == 4
    assert sum(key.endswith(".collection.json") for key in asked) == 2
    assert not [key for key in asked if key.endswith(".h5")]


def test_the_manifests_say_rows_columns_licence_and_model(store: Store, place: Path) -> None:
    first, second = make_item(place / "1", "a", b"1"), make_item(place / "2", "a", b"2")
    entities = {
        "person": Entity(rows=3, columns={"float64": ("age",), "bool": ("is_disabled",)}),
        "household": Entity(rows=2, monthly_columns={"float32": ("snap",)}),
    }
    build = replace(second.manifest.build, model_package="policyengine-us", model_version="2.1")
    earlier = replace(first.manifest, build=replace(build, model_version="2.0"), licence="unspecified")
    later = replace(second.manifest, entities=entities, licence="CC0-1.0", build=build, time_period=(2024, 2025))
    publish_areas(store, {"a": Item(first.path, earlier)})
    publish_areas(store, {"a": Item(second.path, later)}, "r2")
    (changed,) = pe_data.diff("us/areas@v1", "us/areas").changed
    assert changed.rows == {"household": Pair(None, 2), "person": Pair(1, 3)}
    assert changed.columns == {
        "household.snap": Pair(None, "float32 per month"),
        "person.age": Pair("float32", "float64"),
        "person.is_disabled": Pair(None, "bool"),
    }
    assert changed.said == {
        "licence": Pair("unspecified", "CC0-1.0"),
        "model": Pair("policyengine-us 2.0", "policyengine-us 2.1"),
        "years": Pair("2024", "2024, 2025"),
    }
    assert changed.values is None


def test_a_column_that_all_members_got_is_said_once(store: Store, place: Path) -> None:
    first = areas(place / "1", *"abc")
    publish_areas(store, first)
    entity = {"person": Entity(rows=1, columns={"float32": ("age", "wage")})}
    later = {
        name: Item(item.path, replace(item.manifest, entities=entity))
        for name, item in areas(place / "2", *"abc", salt="2").items()
    }
    publish_areas(store, later, "r2")
    text = pe_data.diff("us/areas@v1", "us/areas").text()
    assert len(re.findall(r"person\.wage", text)) == 1
    assert re.search(r"person\.wage +none +float32 +in 3", text)


# --- addresses and versions -------------------------------------------------------------------------------------------


def test_every_way_to_name_a_version(store: Store, place: Path) -> None:
    first = publish_areas(store, areas(place / "1", "a")).artifact_sha256
    publish_areas(store, areas(place / "2", "a", salt="2"), "r2")
    for name in (
        f"us/areas@sha256:{first}",
        "us/areas@v1",
        "pe-data://us/areas@v1",
        f"pe-data://us/areas@sha256:{first}",
    ):
        found = pe_data.diff(name, "us/areas")
        assert (found.before.address, found.after.version) == (f"pe-data://us/areas@sha256:{first}", 2)
    member = pe_data.diff("us/areas/a@v1", "us/areas/a@v2")
    assert (member.before.name, member.changed[0].name, member.same) == ("us/areas/a", "", 0)
    assert not pe_data.diff("us/areas@v2", "us/areas")


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("us/areas@v3", InputError, "us/areas@v3: version: expected 1 to 2, found 3.*pe-data history us/areas"),
        ("us/areas@v0", InvalidNameError, "v0"),
        ("us/areas@stable", InvalidNameError, "release bundles"),
        ("us/others", ObjectNotFoundError, "us/others@latest: expected a channel"),
        ("us/areas/b@v1", InputError, "no member 'b'"),
        ("results/districts", pe_data.PeDataError, "expected a file, found nothing"),
    ],
)
def test_what_is_not_there_is_said_by_name(store: Store, place: Path, name: str, error: Any, says: str) -> None:
    publish_areas(store, areas(place / "1", "a"))
    publish_areas(store, areas(place / "2", "a", salt="2"), "r2")
    with pytest.raises(error, match=says):
        pe_data.diff(name, "us/areas")


def test_a_version_number_is_no_address_of_anything_else(store: Store, place: Path) -> None:
    """It means something in one store only; what is written down is the pin."""
    publish_areas(store, areas(place / "1", "a"))
    for take in (pe_data.ensure, pe_data.resolve, pe_data.schema, pe_data.fetch):
        with pytest.raises(InvalidNameError, match="expected one of latest, next"):
            take("pe-data://us/areas@v1")


def test_a_folder_of_that_name_goes_first(store: Store, place: Path) -> None:
    publish_areas(store, areas(place / "1", "a"))
    write_area(place / "us" / "areas" / "a.h5")
    assert pe_data.diff("us/areas", "pe-data://us/areas@latest").before.address is None
    assert pe_data.diff(Path("us/areas"), Path("us") / "areas") is not None


def test_one_file_is_not_compared_with_many(store: Store, place: Path) -> None:
    publish_areas(store, areas(place / "1", "a"))
    write_area(place / "a.h5")
    for pair in (("us/areas", "a.h5"), ("a.h5", "us/areas")):
        with pytest.raises(InputError, match=r"found one of each\. Name a member, such as us/areas/a"):
            pe_data.diff(*pair)
    with pytest.raises(InputError, match=r"a\.h5: members: expected a collection or a folder"):
        pe_data.diff("a.h5", "a.h5", members="a")


def test_only_some_members(store: Store, place: Path) -> None:
    publish_areas(store, areas(place / "1", "districts/a", "states/b"))
    publish_areas(store, areas(place / "2", "districts/a", "states/b", salt="2"), "r2")
    found = pe_data.diff("us/areas@v1", "us/areas", members="states/*")
    assert [one.name for one in found.changed] == ["states/b"]
    with pytest.raises(InputError, match=r"members: expected a pattern that fits.*'nations"):
        pe_data.diff("us/areas@v1", "us/areas", members=["nations/*"])


def test_single_files_of_a_store(store: Store, place: Path) -> None:
    for n in (1, 2):
        publish_artifact(store, make_item(place / str(n), "cps", bytes([n]) * n, dataset="cps"))
    (changed,) = pe_data.diff("us/cps@v1", "us/cps@v2").changed
    assert changed.size_bytes == Pair(1, 2)


# --- folders and runs -------------------------------------------------------------------------------------------------


def test_sidecars_say_how_weights_changed_and_no_file_is_opened(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(place / "1", {"districts/NC-01": WEIGHTS, "states/NC": WEIGHTS})
    write_run(place / "2", {"districts/NC-01": WEIGHTS, "states/NC": (10.0, 20.0, 33.0)})
    monkeypatch.setattr(h5py, "File", lambda *_, **__: pytest.fail("a file was opened"))
    found = pe_data.diff(place / "1", place / "2")
    (changed,) = found.changed
    assert changed.name == "states/NC"
    assert changed.weighted == {"household": Pair(60.0, 63.0), "person": Pair(120.0, 126.0)}
    assert changed.effective_sample_size is not None
    assert changed.effective_sample_size.before == pytest.approx(3600 / 1400)
    text = str(found)
    assert re.search(r"weighted household +60\.0 +63\.0 +\+5\.0 %", text)
    assert "effective sample" in text


def test_the_inputs_of_a_run_are_left_out_and_counted(place: Path) -> None:
    for name in "12":
        write_run(place / name, {"districts/NC-01": WEIGHTS})
    write_area(place / "2" / "prepared" / "source_snapshot.h5")
    found = pe_data.diff(place / "1", place / "2")
    assert not found
    assert found.after.left_out == 1
    assert "1 file without a sidecar left out" in str(found)


def test_runs_in_a_folder_below_are_left_out_and_counted(place: Path) -> None:
    for name in ("1", "2", "2/production", "2/tests/other"):
        write_run(place / name, {"districts/NC-01": WEIGHTS})
    for name in ("2", "2/production", "2/tests/other"):
        (place / name / "prepared").mkdir()
        (place / name / "prepared" / "config.json").write_text("{}")
    found = pe_data.diff(place / "1", place / "2")
    assert not found
    assert (found.after.elsewhere, found.after.left_out) == (2, 0)
    assert "2 files of other runs, in folders below it, left out" in str(found)
    assert not pe_data.diff(place / "1", place / "2/production")  # the run itself, where it is what is asked for
    both = pe_data.diff(place / "1", place / "2/tests")
    assert [row.name for row in both.added] == ["other/districts/NC-01"]  # nothing else is there


def test_a_folder_without_sidecars_is_described(place: Path) -> None:
    write_area(place / "1" / "a.h5")
    write_area(place / "2" / "a.h5", (1.0,) * 5, wage=np.float64(7))
    (changed,) = pe_data.diff("1", "2").changed
    assert changed.rows["household"] == Pair(3, 5)
    assert changed.columns == {"person.wage": Pair(None, "float64")}
    assert changed.said == {}, "nobody has said a licence of them yet"


def test_a_run_against_the_channel(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish_folder(write_run(place / "1", {"a": WEIGHTS, "b": WEIGHTS}), "r1", "--licence", "CC0-1.0") == 0
    write_run(place / "2", {"a": WEIGHTS, "b": (1.0, 2.0)})
    found = pe_data.diff("us/areas", "2")
    assert [one.name for one in found.changed] == ["b"]
    assert (found.same, found.changed[0].said) == (1, {})


def test_a_file_that_is_another_than_its_sidecar_says_is_refused(place: Path) -> None:
    path = write_sidecar(write_area(place / "1" / "a.h5"))
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InputError, match=r"a\.h5: expected \d+ bytes as in its sidecar, found \d+.*build it again"):
        pe_data.diff("1", "1")


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_a_name_in_another_encoding(place: Path, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]) -> None:
    for folder, age in (("a", 40), ("b", 41)):
        write_area(place / folder / os.fsdecode(b"odd\xff.h5"), age=age)
    code, text, _ = cli(capsys, "diff", "a", "b", *form)
    assert (code, "odd" in text) == (0, True)
    assert pe_data.diff("a", "b").to_json()["changed"][0]["name"] == os.fsdecode(b"odd\xff")


def test_an_empty_folder_is_refused(place: Path) -> None:
    (place / "1").mkdir()
    with pytest.raises(InputError, match=r"1: expected \.h5 or \.parquet files"):
        pe_data.diff("1", "1")


# --- deep -------------------------------------------------------------------------------------------------------------


def test_deep_finds_the_one_weight(store: Store, place: Path) -> None:
    assert publish_folder(write_run(place / "1", {"a": WEIGHTS, "b": WEIGHTS}), "r1") == 0
    assert publish_folder(write_run(place / "2", {"a": WEIGHTS, "b": (10.0, 20.0, 36.0)}), "r2") == 0
    shallow = pe_data.diff("us/areas@v1", "us/areas@v2")
    assert shallow.changed[0].values is None
    assert "--deep" in str(shallow)
    deep = pe_data.diff("us/areas@v1", "us/areas@v2", deep=True)
    (changed,) = deep.changed
    assert changed.weighted == {
        "household": Pair(60.0, 66.0),
        "person": Pair(120.0, 132.0),
        "tax_unit": Pair(60.0, 66.0),
    }
    assert changed.effective_sample_size == Pair(pytest.approx(3600 / 1400), pytest.approx(66**2 / 1796))
    assert changed.values is not None
    assert {name: one.changed for name, one in changed.values.items()} == {
        "household.household_weight": True,
        "person.age": False,
    }
    assert (changed.values["person.age"].before, changed.values["person.age"].after) == (4200.0, 4620.0)


def test_deep_and_sidecar_agree(place: Path) -> None:
    for name, weights in {"1": WEIGHTS, "2": (4.0, 5.0, 6.5)}.items():
        write_run(place / name, {"a": weights})
    (said,), (read,) = pe_data.diff("1", "2").changed, pe_data.diff("1", "2", deep=True).changed
    assert {name: read.weighted[name] for name in said.weighted} == said.weighted
    assert read.effective_sample_size is not None
    assert said.effective_sample_size is not None
    assert read.effective_sample_size.after == pytest.approx(said.effective_sample_size.after)


def test_deep_on_texts_missing_values_and_other_rows(place: Path) -> None:
    """What is no number, is not finite or has no weight has no total, and JSON stays JSON."""
    write_area(place / "1.h5", code=np.array([b"01", b"02"]), wage=np.array([1.0, np.nan]), same=np.array([np.nan]))
    write_area(place / "2.h5", code=np.array([b"01", b"03"]), wage=np.array([1.0, np.inf]), same=np.array([np.nan]))
    found = pe_data.diff("1.h5", "2.h5", deep=True)
    values = found.changed[0].values
    assert values is not None
    assert set(values) == {"person.code", "person.wage"}
    assert all((one.changed, one.before, one.after) == (True, None, None) for one in values.values())
    write_area(place / "3.h5", (10.0, 20.0))
    shorter = pe_data.diff("1.h5", "3.h5", deep=True)
    assert shorter.changed[0].rows["household"] == Pair(3, 2)
    for one in (found, shorter):
        json.dumps(one.to_json(), allow_nan=False)
        assert one.text()
        assert one.markdown()


def test_deep_of_a_file_without_weights(place: Path) -> None:
    for n in (1, 2):
        with h5py.File(place / f"{n}.h5", "w") as file:
            file["person_id/2024"] = np.arange(3)
            file["age/2024"] = np.arange(3) + n
    (changed,) = pe_data.diff("1.h5", "2.h5", deep=True).changed
    assert (changed.weighted, changed.effective_sample_size) == ({}, None)
    assert changed.values is not None
    assert changed.values["person.age"].changed


def test_a_weight_that_is_no_number_gives_no_total(place: Path) -> None:
    write_area(place / "1.h5")
    write_area(place / "2.h5", (10.0, math.nan, 30.0))
    (changed,) = pe_data.diff("1.h5", "2.h5", deep=True).changed
    assert changed.weighted == {}
    assert changed.effective_sample_size == Pair(pytest.approx(3600 / 1400), None)


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_command_line_prints_text_json_and_markdown(
    store: Store, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_areas(store, areas(place / "1", *(f"districts/{n:02}" for n in range(30))))
    publish_areas(
        store, areas(place / "2", *(f"districts/{n:02}" for n in range(1, 31)), salt=" 2"), "r2", allow_removal=True
    )
    code, text, _ = cli(capsys, "diff", "us/areas@v1", "us/areas", "--limit", "3")
    assert code == 0
    assert "30 files: 1 added, 1 gone, 29 changed" in text
    assert "… and 26 more" in text
    assert len(text.splitlines()) < 30
    assert "… and" not in cli(capsys, "diff", "us/areas@v1", "us/areas", "--limit", "0")[1]
    document = json.loads(cli(capsys, "diff", "us/areas@v1", "us/areas", "--json")[1])
    assert document == pe_data.diff("us/areas@v1", "us/areas").to_json()
    assert (document["different"], len(document["changed"])) == (True, 29)
    table = cli(capsys, "diff", "us/areas@v1", "us/areas", "--markdown")[1]
    assert table.startswith("### us/areas\n")
    assert "| districts/30 | " in table
    assert cli(capsys, "diff", "us/areas", "us/areas", "--json", "--markdown")[0] == 2


def test_the_exit_code_tells_only_if_asked(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish_areas(store, areas(place / "1", "a"))
    publish_areas(store, areas(place / "2", "a", salt="2"), "r2")
    assert cli(capsys, "diff", "us/areas@v1", "us/areas")[0] == 0
    assert cli(capsys, "diff", "us/areas@v1", "us/areas", "--exit-code")[0] == 1
    code, out, _ = cli(capsys, "diff", "us/areas@v2", "us/areas", "--exit-code")
    assert code == 0
    assert "no difference: 1 file, 2 bytes" in out
    assert cli(capsys, "diff", "us/areas@v7", "us/areas")[0] == 1


def test_names_of_others_can_do_nothing_to_a_terminal_or_a_table(place: Path) -> None:
    for n in (1, 2):
        write_area(place / str(n) / "a|b\x1b[2J`*.h5", (float(n),), **{f"x|{n}\x1b]0;": 1.0})
    found = pe_data.diff("1", "2")
    assert "\x1b" not in found.text() + found.markdown()
    for line in found.markdown().splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6, 7, 8)
    assert r"a\|b" in found.markdown()


def test_a_diff_over_the_web(place: Path) -> None:
    """A mirror with channels, as most readers see a store."""
    store = FolderStore(place / "served")
    publish_areas(store, areas(place / "1", "a", "b"))
    publish_areas(store, areas(place / "2", "a", "b", salt="2"), "r2")
    with WebServer(place / "served") as server:
        found = pe_data.diff("us/areas@v1", "us/areas", store=server.url)
    assert len(found.changed) == 2


def test_a_damaged_manifest_is_an_error(store: Store, place: Path) -> None:
    publish_areas(store, areas(place / "1", "a"))
    publish_areas(store, areas(place / "2", "a", salt="2"), "r2")
    path = place / "store" / manifest_key("us", sha256_bytes(b"a2"))
    path.chmod(0o644)
    path.write_bytes(b"{}")
    with pytest.raises(pe_data.PeDataError, match="manifest"):
        pe_data.diff("us/areas@v1", "us/areas")


# --- the words of the command line, in Python -------------------------------------------------------------------------


def test_list_schema_and_history_have_the_words_of_the_command_line(
    store: Store, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_areas(store, areas(place / "1", "districts/NC-01", "states/NC"))
    publish_areas(store, areas(place / "2", "districts/NC-01", "states/NC", salt="2"), "r2")
    listed = json.loads(cli(capsys, "list", "us/areas", "--search", "nc-01", "--json")[1])["datasets"]
    (one,) = pe_data.list("us/areas", search="nc-01")
    assert listed[0]["version"] == one.version == 2
    assert [member["name"] for member in listed[0]["members"]] == [member.name for member in one.members]
    rows = json.loads(cli(capsys, "history", "us/areas", "--limit", "1", "--json")[1])["versions"]
    (newest,) = pe_data.history("us/areas", limit=1)
    for word in ("version", "published_at", "artifact_sha256", "reason", "by", "run_id", "members", "size_bytes"):
        assert rows[0][word] == getattr(newest, word)
    whole = pe_data.schema("pe-data://us/areas@latest")
    assert isinstance(whole, Collection)
    assert set(whole.members) == {"districts/NC-01", "states/NC"}
    member = pe_data.schema("pe-data://us/areas/states/NC@latest")
    shown = json.loads(cli(capsys, "schema", "pe-data://us/areas/states/NC@latest", "--json")[1])
    assert shown["artifact"]["sha256"] == member.artifact.sha256


def test_a_path_stands_wherever_an_address_does(place: Path) -> None:
    path = write_area(place / "a.h5")
    pytest.importorskip("pandas")
    assert pe_data.ensure(path) == path
    assert pe_data.schema(path).artifact.sha256 == sha256_file(path)
    assert set(pe_data.open(path)) == set(pe_data.open(str(path)))
    assert pe_data.fetch(path, to=place / "to").paths["a"].is_file()
    assert not pe_data.diff(path, path)
    assert set(pe_data.export(path, "csv", place / "csv")) >= {"person", "household"}
    publish_areas(FolderStore(place / "other"), areas(place / "1", "a"))
    assert pe_data.list("us", store=place / "other")[0].dataset == "areas"
    assert pe_data.history("us/areas", store=place / "other")[0].version == 1
    assert pe_data.resolve("pe-data://us/areas@latest", store=place / "other").version == 1


LAZY = "import sys, pe_data; print(*sys.modules)"
HEAVY = {"click", "filelock", "h5py", "msgspec", "numpy", "obstore", "pandas", "platformdirs", "pyarrow", "rich", "tuf"}


def test_the_package_loads_nothing_until_a_name_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert not HEAVY & loaded
    assert [name for name in loaded if name.startswith("pe_data")] == ["pe_data"]
    for name in ("list", "schema", "history", "diff"):
        assert name in dir(pe_data)
        assert callable(getattr(pe_data, name))


def test_import_everything_hides_no_word_of_python() -> None:
    names: dict[str, Any] = {}
    exec("from pe_data import *", names)
    assert "list" not in names
    assert names["history"] is pe_data.history
