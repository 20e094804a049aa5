"""Publishing with a look: what changes is shown, nobody loses a member unasked, a dry run tells what would happen."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from diff_helpers import WEIGHTS, write_area, write_run
from storage_helpers import Watched, areas, make_item, publish_areas, replace

import pe_data
from pe_data.cli import run
from pe_data.documents.validation import Validation
from pe_data.errors import DigestMismatchError, InputError, InvalidNameError, PointerMismatchError, RemovalError
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import payload_key
from pe_data.read.channels import read
from pe_data.read.difference import Pair
from pe_data.store.base import Store
from pe_data.store.opening import open_store
from pe_data.write.preview import preview_artifact, preview_collection
from pe_data.write.publish import PublishReport, publish_artifact, publish_collection, set_channel
from pe_data.write.upload import Item


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(place: Path) -> Store:
    return open_store(str(place / "store"))


def publish(
    store: Store, items: Mapping[str, Item], run_id: str = "r1", *, allow_removal: bool = False
) -> PublishReport:
    return publish_areas(store, items, run_id, allow_removal=allow_removal)


def cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, as it lies there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


# --- removals ---------------------------------------------------------------------------------------------------------


def test_a_part_of_a_run_does_not_replace_all_of_it(store: Store, place: Path) -> None:
    publish(store, areas(place / "1", *(f"districts/{n:02}" for n in range(20))))
    before = everything(place / "store")
    with pytest.raises(RemovalError) as caught:
        publish(store, areas(place / "2", *(f"districts/{n:02}" for n in range(6)), salt="2"), "r2")
    assert caught.value.gone == tuple(f"districts/{n:02}" for n in range(6, 20))
    text = str(caught.value)
    assert "found 6 without districts/06, districts/07, districts/08, districts/09, districts/10 and 9 more" in text
    assert "--allow-removal (allow_removal=True)" in text
    assert everything(place / "store") == before, "nothing was sent"
    report = publish(
        store, areas(place / "2", *(f"districts/{n:02}" for n in range(6)), salt="2"), "r2", allow_removal=True
    )
    assert report.version == 2


def test_a_member_under_another_name_is_gone(store: Store, place: Path) -> None:
    publish(store, {"a": make_item(place, "a", b"x")})
    with pytest.raises(RemovalError, match="found 1 without a"):
        publish(store, {"b": make_item(place, "a", b"x")}, "r2")


def test_more_members_and_other_bytes_are_no_removal(store: Store, place: Path) -> None:
    publish(store, areas(place / "1", "a"))
    assert publish(store, areas(place / "2", "a", "b", salt="2"), "r2").version == 2


def test_a_file_does_not_replace_a_collection_nor_a_collection_a_file(store: Store, place: Path) -> None:
    publish(store, areas(place / "1", "a", "b"))
    single = make_item(place, "cps", b"cps")
    with pytest.raises(RemovalError, match=r"\(2 members\), found a single file") as caught:
        publish_artifact(store, single)
    assert caught.value.gone == ("a", "b")
    publish_artifact(store, single, allow_removal=True)
    with pytest.raises(RemovalError, match=r"\(a single file\), found a collection of 1"):
        publish(store, areas(place / "1", "a"), "r2")
    publish(store, areas(place / "1", "a"), "r2", allow_removal=True)
    assert publish_artifact(store, single, allow_removal=True).version == 4
    assert publish_artifact(store, make_item(place / "3", "cps", b"new")).version == 5


def test_members_that_another_publisher_adds_meanwhile_are_not_lost(place: Path) -> None:
    """They came after the first look and before the channel moves."""
    store = Watched()
    publish(store, areas(place / "1", "a"))

    def meanwhile(operation: str, key: str) -> None:
        if key.endswith(".collection.json"):
            store.hook = lambda operation, key: None
            publish(store, areas(place / "2", "a", "b", salt="2"), "r2")

    store.hook = meanwhile
    with pytest.raises(RemovalError, match=r"version 2 of @latest.*found 1 without b"):
        publish(store, areas(place / "3", "a", salt="3"), "r3")
    assert read(store, "us", "areas").body.version == 2


def test_going_back_needs_no_word(store: Store, place: Path) -> None:
    """Who names a whole earlier version means it; what changes is shown."""
    first = publish(store, areas(place / "1", "a")).artifact_sha256
    publish(store, areas(place / "2", "a", "b", salt="2"), "r2")
    assert set_channel(store, "us", "areas", first).moved


def test_a_collection_that_is_gone_already_can_be_replaced(store: Store, place: Path) -> None:
    report = publish(store, areas(place / "1", "a", "b"))
    for path in (place / "store").rglob(f"{report.artifact_sha256}.collection.json"):
        path.unlink()
    assert publish(store, areas(place / "2", "c"), "r2").version == 2


# --- a dry run --------------------------------------------------------------------------------------------------------

VALIDATION = Validation("passed", 2, {"structural": {"passed": 2}}, sha256_bytes(b"p"), sha256_bytes(b"r"))


@pytest.mark.parametrize("validation", [None, VALIDATION])
def test_a_dry_run_says_the_digest_that_the_channel_gets(
    store: Store, place: Path, validation: Validation | None
) -> None:
    """Nothing there yet; nothing to do; new bytes; another run of the same; another licence for the same bytes."""
    first, second = areas(place / "1", "a", "b"), areas(place / "2", "a", "b", salt="2")
    relabelled = {
        name: Item(one.path, replace(one.manifest, licence="LicenseRef-other")) for name, one in first.items()
    }
    steps = [(first, "r1"), (first, "r1"), (second, "r2"), (second, "r3"), (relabelled, "r4")]
    for items, run_id in steps:
        what: Any = {"country": "us", "dataset": "areas", "run_id": run_id, "validation": validation}
        before = everything(place)
        foreseen = preview_collection(store, items, **what)
        assert everything(place) == before
        report = publish_collection(store, items, **what)
        assert (foreseen.artifact_sha256, foreseen.version) == (report.artifact_sha256, report.version)
        assert (foreseen.moved, foreseen.to_send) == (report.moved, report.uploaded)
        assert (foreseen.bytes_to_send, foreseen.already_there) == (report.uploaded_bytes, report.already_there)
        assert foreseen.manifests_kept == report.manifests_kept
        body = read(store, "us", "areas").body
        assert (body.artifact_sha256, body.manifest_sha256) == (foreseen.artifact_sha256, foreseen.manifest_sha256)
    assert foreseen.manifests_kept == ("a", "b")


def test_a_dry_run_of_one_file(store: Store, place: Path) -> None:
    for data in (b"1", b"1", b"22"):
        item = make_item(place, "cps", data, dataset="cps")
        foreseen, report = preview_artifact(store, item), publish_artifact(store, item)
        body = read(store, "us", "cps").body
        assert (foreseen.artifact_sha256, foreseen.manifest_sha256) == (body.artifact_sha256, body.manifest_sha256)
        assert (foreseen.version, foreseen.moved, foreseen.to_send) == (report.version, report.moved, report.uploaded)


def test_a_dry_run_refuses_what_a_publication_refuses(store: Store, place: Path) -> None:
    what: Any = {"country": "us", "dataset": "areas", "run_id": "r"}
    with pytest.raises(InputError, match="expected at least one file"):
        preview_collection(store, {}, **what)
    items = areas(place / "1", "a")
    items["a"].path.write_bytes(b"b")
    with pytest.raises(DigestMismatchError, match="The file changed after it was hashed"):
        preview_collection(store, items, **what)
    items["a"].path.write_bytes(b"longer")
    with pytest.raises(InputError, match="expected 1 bytes as in its manifest, found 6"):
        preview_collection(store, items, **what)
    publish(store, areas(place / "2", "a", salt="2"))
    damaged = place / "store" / payload_key("us", sha256_bytes(b"a2"), "h5")
    damaged.chmod(0o644)
    damaged.write_bytes(b"half a file")
    with pytest.raises(DigestMismatchError, match="damaged object"):
        preview_collection(store, areas(place / "2", "a", salt="2"), **what)
    with pytest.raises(PointerMismatchError, match="namespace"):
        preview_collection(store, areas(place / "3", "a"), **what, namespace="another")
    with pytest.raises(InvalidNameError, match="namespace"):
        preview_collection(store, areas(place / "3", "a"), **what, namespace="No Name")


def test_a_dry_run_from_the_command_line(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(place / "1", {"a": WEIGHTS, "b": (7.0,)})
    command = ["publish", "1", "us/areas", "--run-id", "r1", "--dry-run"]
    code, out, _ = cli(capsys, *command)
    assert code == 0
    assert "nothing was written: 2 file(s) to send" in out
    assert not (place / "store").exists()
    assert cli(capsys, *command[:-1])[0] == 0
    write_run(place / "2", {"a": (1.0, 2.0)})
    before = everything(place / "store")
    code, out, err = cli(capsys, "publish", "2", "us/areas", "--run-id", "r2", "--dry-run")
    assert code == 1
    assert "2 → 1 file" in out
    assert "gone (1)" in out
    assert "household rows" in out
    assert "us/areas@latest would be version 2, sha256:" in out
    assert "it would be refused: us/areas: expected all that version 1" in err
    code, out, _ = cli(capsys, "publish", "2", "us/areas", "--run-id", "r2", "--dry-run", "--json")
    foreseen = json.loads(out)
    assert code == 1
    assert [one["name"] for one in foreseen["diff"]["gone"]] == ["b"]
    assert "expected all that version 1" in foreseen["refused"]
    assert everything(place / "store") == before
    code, out, _ = cli(capsys, "publish", "2", "us/areas", "--run-id", "r2", "--allow-removal", "--json")
    published = json.loads(out)
    assert code == 0
    assert published["artifact_sha256"] == foreseen["artifact_sha256"]
    assert published["diff"] == foreseen["diff"]


def test_publishing_shows_what_changes(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(place / "1", {f"districts/{n:02}": WEIGHTS for n in range(9)})
    _, out, _ = cli(capsys, "publish", "1", "us/areas", "--run-id", "r1")
    assert "changed" not in out, "nobody read anything there yet"
    write_run(place / "2", {f"districts/{n:02}": (*WEIGHTS, float(n + 1)) for n in range(9)})
    code, out, _ = cli(capsys, "publish", "2", "us/areas", "--run-id", "r2", "--reason", "a household more")
    assert code == 0
    assert "9 files: 9 changed" in out
    assert "… and 4 more" in out, "short"
    assert "channel moved" in out
    assert "changed" not in cli(capsys, "publish", "2", "us/areas", "--run-id", "r2")[1]


def test_a_damaged_store_does_not_keep_anybody_from_publishing(
    store: Store, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(place / "1", {"a": WEIGHTS})
    cli(capsys, "publish", "1", "us/areas", "--run-id", "r1")
    for path in (place / "store").rglob("*.manifest.json"):
        path.chmod(0o644)
        path.write_bytes(b"{}")
    write_run(place / "2", {"a": (5.0,)})
    code, out, err = cli(capsys, "publish", "2", "us/areas", "--run-id", "r2")
    assert code == 0
    assert "channel moved" in out
    assert "warning: what changes cannot be shown" in err


# --- the story --------------------------------------------------------------------------------------------------------


def test_a_release_manager(store: Store, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Publish, change one weight, publish again, read the diff, roll back with a reason, read the history."""
    names = [f"districts/NC-{n:02}" for n in range(1, 15)]
    write_run(place / "run-1", dict.fromkeys(names, WEIGHTS))
    write_run(place / "run-2", dict.fromkeys(names, WEIGHTS) | {"districts/NC-07": (10.0, 20.0, 36.0)})
    first = ["publish", "run-1", "us/local_areas", "--run-id", "run-1", "--reason", "first release", "--by", "ada"]
    assert cli(capsys, *first)[0] == 0
    assert (
        "1 changed, 13 the same"
        in cli(capsys, "publish", "run-2", "us/local_areas", "--run-id", "run-2", "--dry-run")[1]
    )
    second = ["publish", "run-2", "us/local_areas", "--run-id", "run-2", "--reason", "new weights", "--by", "ada"]
    assert cli(capsys, *second)[0] == 0
    _, out, _ = cli(capsys, "diff", "us/local_areas@v1", "us/local_areas@v2", "--deep")
    assert "changed: districts/NC-07" in out
    assert "weighted household" in out
    assert "+10.0 %" in out
    (changed,) = pe_data.diff("run-1", "run-2").changed
    assert changed.weighted["person"] == Pair(120.0, 132.0)
    back = pe_data.history("us/local_areas")[-1].artifact_sha256
    command = ["channel", "set", "us/local_areas", f"sha256:{back}", "--reason", "NC-07 is wrong", "--by", "bob"]
    code, out, _ = cli(capsys, *command)
    assert code == 0
    assert "1 changed, 13 the same" in out
    assert "us/local_areas@latest is now version 3" in out
    _, out, _ = cli(capsys, "history", "us/local_areas")
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines if line[0].isdigit()] == ["3", "2", "1"]
    assert out.index("NC-07 is wrong") < out.index("new weights") < out.index("first release")
    assert "by: bob" in out
    assert out.count("14 members") == 3
    assert out.count("run run-1") == 2
    assert not pe_data.diff("us/local_areas@v1", "us/local_areas@v3")


@pytest.mark.parametrize("named", ["cps.h5", "./cps.h5", "../{}/cps.h5", "{}"])
def test_a_single_file_is_shown_too(store: Store, place: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    named = str(place / "cps.h5") if named == "{}" else named.format(place.name)
    write_area(place / "cps.h5")
    assert cli(capsys, "publish", named, "us/cps")[0] == 0
    write_area(place / "cps.h5", (1.0, 2.0))
    _, out, _ = cli(capsys, "publish", named, "us/cps")
    assert re.search(r"household rows +3 +2 +-33\.3 %", out)
