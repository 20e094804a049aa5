"""The commands that publish and look after a store, as a user types them."""

import json
from pathlib import Path

import click
import h5py
import numpy as np
import pytest
from storage_helpers import areas, publish_areas

from pe_data.cli import app, run
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.names.keys import collection_key, payload_key
from pe_data.read.channels import history
from pe_data.store.base import Store
from pe_data.store.opening import open_store


def write_h5(path: Path, value: float) -> Path:
    """A period-grouped file with two persons in one household."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in {
            "person_id": np.array([1, 2]),
            "person_household_id": np.array([1, 1]),
            "household_id": np.array([1]),
            "household_weight": np.array([10.0]),
            "age": np.array([30.0, value]),
        }.items():
            file[f"{name}/2024"] = values
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of our own: store, cache and configuration below the test's folder."""
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path


@pytest.fixture
def store(place: Path) -> Store:
    return open_store(str(place / "store"))


def test_publish_a_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_h5(place / "cps.h5", 5)
    assert run(["publish", str(path), "us/cps_2024"]) == 0
    assert "1 artifact(s) uploaded" in capsys.readouterr().out
    assert run(["publish", str(path), "us/cps_2024"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run(["channel", "show", "us/cps_2024", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["artifact_sha256"]) == (1, sha256_file(path))
    assert shown["namespace"] == "local"
    assert not shown["is_collection"]


def test_publish_a_folder(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("states/AL", "districts/AL-01")):
        write_h5(place / "areas" / f"{name}.h5", number)
    assert run(["publish", str(place / "areas"), "us/areas_2024", "--run-id", "r1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["uploaded"], report["moved"], report["nothing_to_do"]) == (2, True, False)
    assert run(["fsck", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


def test_going_back_is_a_new_version(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digests = []
    for age in (1, 2):
        path = write_h5(place / "cps.h5", age)
        digests.append(sha256_file(path))
        assert run(["publish", str(path), "us/cps_2024"]) == 0
    arguments = ["channel", "set", "us/cps_2024", f"sha256:{digests[0]}"]
    assert run([*arguments, "--expected-version", "1"]) == 1
    assert "expected to write version 2, found version 2" in capsys.readouterr().err
    assert run([*arguments, "--expected-version", "2"]) == 0
    assert "is now version 3" in capsys.readouterr().out
    assert run(arguments) == 0
    assert "stood already at version 3" in capsys.readouterr().out
    assert run(["channel", "history", "us/cps_2024", "--json"]) == 0
    versions = json.loads(capsys.readouterr().out)["versions"]
    assert [one["artifact_sha256"] for one in versions] == [digests[0], digests[1], digests[0]]
    assert run(["channel", "history", "us/cps_2024", "--limit", "1"]) == 0
    assert capsys.readouterr().out.count("sha256:") == 1


def test_a_channel_is_only_set_to_what_is_complete(
    store: Store, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = publish_areas(store, areas(place / "1", "a", "b", salt="1"))
    publish_areas(store, areas(place / "2", "a", "b", salt="2"), run_id="r2")
    arguments = ["channel", "set", "us/areas", f"sha256:{first.artifact_sha256}"]
    assert run(arguments) == 0
    assert run(["channel", "set", "us/areas", f"sha256:{sha256_bytes(b'?')}"]) == 1
    publish_areas(store, areas(place / "2", "a", "b", salt="2"), run_id="r2")
    store.delete(payload_key("us", sha256_bytes(b"a1"), "h5"))
    capsys.readouterr()
    assert run(arguments) == 1
    assert sha256_bytes(b"a1") in capsys.readouterr().err


def test_fsck_finds_damage(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish_areas(store, areas(place, "a"))
    assert run(["fsck"]) == 0
    assert "1 payloads hashed" in capsys.readouterr().out
    assert run(["fsck"]) == 0
    assert "1 unchanged since the last check; 0 problem(s)" in capsys.readouterr().out
    key = payload_key("us", sha256_bytes(b"a"), "h5")
    store.delete(key)
    store.put_create(key, b"b")
    assert run(["fsck", "--full", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert report["findings"][0]["key"] == key


def test_mirror(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = publish_areas(store, areas(place, "a", "b"))
    everything = ["mirror", str(place / "store"), str(place / "all")]
    assert run(everything) == 0
    assert "3 artifact(s) copied" in capsys.readouterr().out
    assert run([*everything, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["already_there"] == 3
    for number, uri in enumerate(("latest", f"sha256:{report.artifact_sha256}")):
        target = place / f"one{number}"
        assert run(["mirror", str(place / "store"), str(target), f"pe-data://us/areas@{uri}"]) == 0
        keys = {meta.key for meta in open_store(str(target)).list("")}
        assert keys == {meta.key for meta in store.list("us/")}


def test_gc_and_pins(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for salt in ("1", "2", "3"):
        publish_areas(store, areas(place / salt, "a", salt=salt), run_id=f"r{salt}")
    old = sha256_bytes(b"a1")
    assert run(["pin", "add", "us", f"sha256:{old}", "--reason", "release 1.2"]) == 0
    assert run(["pin", "list"]) == 0
    assert "release 1.2" in capsys.readouterr().out
    assert run(["gc", "--dry-run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["waiting"]) == 1
    assert run(["pin", "remove", "us", f"sha256:{old}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"]
    assert run(["pin", "list"]) == 0
    assert capsys.readouterr().out == "no pins\n"
    assert run(["gc"]) == 0
    assert "2 in their grace period" in capsys.readouterr().out
    assert run(["gc", "--grace", "soon"]) == 2
    assert run(["gc", "--grace", "30m"]) == 1
    assert "expected at least 1:00:00" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["publish", "{folder}", "us/x"], 2, "needs --run-id"),
        (["publish", "{folder}", "us/x", "--run-id", "r"], 1, "expected .h5 or .parquet files"),
        (["publish", "{folder}/none.h5", "us/x"], 2, "does not exist"),
        (["publish", "{folder}/text.h5", "us/x"], 1, "expected an H5 or Parquet file"),
        (["publish", "{folder}/text.h5", "x"], 2, "expected COUNTRY/DATASET"),
        (["channel", "show", "us/x"], 1, "no such object|does not exist"),
        (["channel", "show", "us/x", "--channel", "stable"], 2, "release bundles"),
        (["channel", "set", "us/x", "sha256:1"], 2, "64 lower-case hexadecimal digits"),
        (["pin", "add", "us", "sha256:" + "0" * 64, "--reason", "x"], 1, "to pin"),
        (["mirror", "{folder}", "ftp://x"], 2, "unknown scheme"),
        (["fsck", "--store", "https://mirror.example.org"], 1, "cannot list"),
    ],
)
def test_mistakes_are_named(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    folder = place / "files"
    folder.mkdir()
    if "{folder}/text.h5" in arguments:
        (folder / "text.h5").write_text("text")
    assert run([argument.format(folder=folder) for argument in arguments]) == code
    err = capsys.readouterr().err
    assert any(one in err for one in message.split("|")), err
    assert "Traceback" not in err


def commands() -> list[tuple[str, click.Command]]:
    found = []
    for name in app.list_commands(click.Context(app)):
        command = app.get_command(click.Context(app), name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", one) for sub, one in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), commands())
def test_help_teaches_by_example(name: str, command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=name))
    assert "Example" in text
    assert f"pe-data {name.split()[0]}" in text
    if not isinstance(command, click.Group):
        assert "--json" in text


# --- who, and why -----------------------------------------------------------------------------------


def test_the_history_says_who_why_and_what(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_h5(place / "areas" / "districts" / "NC-01.h5", 3)
    publish = ["publish", str(place / "areas"), "us/areas_2024"]
    assert run([*publish, "--run-id", "r1", "--reason", "first release", "--by", "ada@example.org"]) == 0
    first = json.loads(store.get("channels/us/areas_2024/latest.json").data)["artifact_sha256"]
    write_h5(place / "areas" / "districts" / "NC-01.h5", 4)
    assert run([*publish, "--run-id", "r2"]) == 0
    back = ["channel", "set", "us/areas_2024", f"sha256:{first}", "--reason", "wrong weights", "--by", "bob"]
    assert run(back) == 0
    capsys.readouterr()
    assert run(["history", "us/areas_2024", "--json"]) == 0
    versions = json.loads(capsys.readouterr().out)["versions"]
    assert [(one["version"], one["reason"], one["by"], one["run_id"]) for one in versions] == [
        (3, "wrong weights", "bob", "r1"),
        (2, None, None, "r2"),
        (1, "first release", "ada@example.org", "r1"),
    ]
    assert {one["members"] for one in versions} == {1}
    assert all(one["size_bytes"] > 0 for one in versions)
    assert run(["history", "us/areas_2024"]) == 0
    said = capsys.readouterr().out
    for word in ("reason: wrong weights", "by: bob", "1 members", "run r2"):
        assert word in said
    assert said.count("reason:") == 2


def test_the_history_of_a_single_file(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_h5(place / "cps.h5", 5)
    assert run(["publish", str(path), "us/cps_2024", "--reason", "new"]) == 0
    capsys.readouterr()
    assert run(["history", "us/cps_2024", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["versions"]
    assert (one["size_bytes"], one["members"], one["reason"]) == (path.stat().st_size, None, "new")


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "\x1b[2J", "x" * 501])
@pytest.mark.parametrize("option", ["--reason", "--by"])
def test_a_reason_is_one_printable_line(store: Store, place: Path, text: str, option: str) -> None:
    """It is refused before anything is sent."""
    path = write_h5(place / "cps.h5", 5)
    assert run(["publish", str(path), "us/cps_2024", option, text]) == 1
    assert list(store.list("")) == []


def test_a_version_whose_artifact_is_gone_says_so(
    store: Store, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for salt in ("1", "2"):
        publish_areas(store, areas(place / salt, "a", salt=salt), run_id=f"r{salt}")
    first = [one.body.artifact_sha256 for one in history(store, "us", "areas")][1]
    store.delete(collection_key("us", first))
    assert run(["history", "us/areas"]) == 0
    assert "gone" in capsys.readouterr().out
