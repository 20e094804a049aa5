"""Who may read what is in a cache: the umask says it, but for payloads of gated countries."""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import forked
import pytest
import second_user
from gateway_helpers import DATASET, survey_label, write_households
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import make_item

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.maintain import prune, verify_cache
from pe_data.describe.file import describe
from pe_data.errors import CacheError, ConfigError
from pe_data.files.atomic import PLAIN, READ_ONLY, SECRET, local_errors, permitted, write_atomic
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_artifact, publish_collection
from pe_data.write.upload import Item

LATEST = "pe-data://us/areas/a@latest"
GATED = f"pe-data://uk/{DATASET}@latest"
OTHER = 54321
"""Number of a second user, whom nobody has to have set up."""
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as a second user"
)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("PE_DATA_CONFIG", str(Path(name, "config.toml")))
        for variable in ("PE_DATA_STORE", "PE_DATA_MIRRORS", "PE_DATA_OFFLINE", "PE_DATA_TRUST_ROOT"):
            monkeypatch.delenv(variable, raising=False)
        yield Path(name)


@dataclass
class Lab:
    """A store with a collection of a public country and a survey of a gated one, and a cache."""

    folder: Path

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.folder / "store")

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def ensure(self, uri: str, mask: int = 0o022) -> Path:
        with umask(mask):
            return pe_data.ensure(uri, store=self.store.url, cache=self.cache)

    def pin(self, uri: str) -> str:
        return pe_data.resolve(uri, store=self.store.url, cache=self.folder / "probe").pinned

    def as_other(self, *uris: str, mask: str = "022") -> list[dict[str, object]]:
        """What the second user gets."""
        done = forked.run(second_user.main, str(OTHER), mask, str(self.cache), self.store.url, *uris)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def lab(folder: Path) -> Lab:
    made = Lab(folder)
    items = {"a": make_item(folder / "files", "a", b"\x89HDF a"), "b": make_item(folder / "files", "b", b"\x89HDF b")}
    publish_collection(made.store, items, country="us", dataset="areas", run_id="r1")
    path = write_households(folder / "files/survey.h5")
    publish_artifact(made.store, Item(path, describe(path, survey_label())))
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path, *, folders: bool) -> dict[str, int]:
    return {str(path.relative_to(folder)): mode(path) for path in folder.rglob("*") if path.is_dir() == folders}


# --- the umask ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o027, 0o077, 0o000])
def test_what_is_public_follows_the_umask(lab: Lab, mask: int) -> None:
    path = lab.ensure(LATEST, mask)
    assert mode(path) == 0o444 & ~mask
    found = modes(lab.cache, folders=False)
    assert len(found) >= 5
    assert {name: found[name] for name in found if found[name] != PLAIN & ~mask and not name.endswith(".h5")} == {}
    assert set(modes(lab.cache, folders=True).values()) == {0o777 & ~mask}
    collection = lab.ensure("pe-data://us/areas@latest", mask)
    assert mode(collection) == 0o666 & ~mask


@pytest.mark.parametrize("mask", [0o022, 0o000, 0o077])
def test_a_secret_is_its_owners_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        write_atomic(tmp_path / "key", b"x", mode=SECRET)
    assert mode(tmp_path / "key") == 0o600


@given(st.integers(0, 0o777), st.sampled_from([PLAIN, READ_ONLY, SECRET]))
def test_the_permitted_mode_is_what_the_umask_leaves(mask: int, wanted: int) -> None:
    with tempfile.TemporaryDirectory() as name, umask(mask):
        assert permitted(Path(name), wanted) == wanted & ~mask
        assert list(Path(name).iterdir()) == []


# --- gated payloads -------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o022, 0o000, 0o077])
def test_a_gated_payload_is_its_readers_alone(lab: Lab, mask: int) -> None:
    path = lab.ensure(GATED, mask)
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parents[1]) == 0o700
    assert path.is_relative_to(lab.cache / "artifacts/gated")
    manifest = next((lab.cache / "artifacts").glob("??/*.manifest.json"))
    assert mode(manifest) == 0o666 & ~mask
    with umask(mask):
        assert pe_data.ensure(lab.pin(GATED), cache=lab.cache, offline=True) == path
    assert [entry.path for entry in Cache(lab.cache).entries()] == [path]
    assert [checked.right for checked in verify_cache(Cache(lab.cache))] == [True]
    assert mode(path) == 0o600
    assert len(prune(Cache(lab.cache), 0).removed) == 1
    assert not path.exists()


def test_a_gated_payload_that_is_arriving_is_its_readers_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pe_data.cache.part.Part.sync", stop)
    with pytest.raises(KeyboardInterrupt):
        lab.ensure(GATED, 0)
    found = [path for path in lab.cache.rglob("*") if ".part" in path.name]
    assert len(found) == 1
    assert {mode(path) for path in found} == {0o600}
    assert {mode(path.parent) for path in found} == {0o700}
    monkeypatch.undo()
    assert mode(lab.ensure(GATED, 0)) == 0o600


@pytest.mark.parametrize(("country", "access"), [("uk", "public"), ("us", "gated"), ("zz", "public")])
def test_the_table_of_countries_decides_and_no_manifest(lab: Lab, country: str, access: str) -> None:
    path = write_households(lab.folder / "files/other.h5", seed=9)
    manifest = describe(path, replace(survey_label("other"), country=country, access=access))
    publish_artifact(lab.store, Item(path, manifest))
    assert mode(lab.ensure(f"pe-data://{country}/other@latest")) == (0o444 if country == "us" else 0o600)


def test_what_an_earlier_version_left_open_is_closed(lab: Lab) -> None:
    path = lab.ensure(GATED)
    old = Cache(lab.cache).path(path.stem, "h5")  # type: ignore[arg-type]
    old.parent.mkdir(parents=True, exist_ok=True)
    path.rename(old)
    path.with_name(f"{path.name}.stamp").rename(old.with_name(f"{old.name}.stamp"))
    old.chmod(0o444)
    assert pe_data.ensure(lab.pin(GATED), cache=lab.cache, offline=True) == old
    assert mode(old) == 0o600


def test_a_copy_of_gated_data_is_its_readers_alone(lab: Lab) -> None:
    def copy(uri: str, year: int) -> Path:
        with umask(0o022):
            (path,) = pe_data.ensure_datasets(
                [uri], years=[year], data_folder=lab.folder / "data", store=lab.store.url, cache=lab.cache
            ).values()
        return path

    path = copy(GATED, 2023)
    assert mode(path) == 0o600
    path.chmod(0o644)
    assert mode(copy(GATED, 2023)) == 0o600, "one that an earlier version made"
    assert mode(copy(LATEST, 2024)) == 0o644


def set_group(lab: Lab, text: str) -> None:
    (lab.folder / "config.toml").write_text(f'[stores.uk]\nurl = "{lab.store.url}"\ngated_group = {text}\n')


@needs_root
@pytest.mark.parametrize(("mask", "folder_mode"), [(0o022, 0o2750), (0o002, 0o2770), (0o077, 0o2750)])
def test_a_gated_payload_may_be_its_groups(lab: Lab, mask: int, folder_mode: int) -> None:
    import grp

    group = next(one for one in grp.getgrall() if one.gr_gid not in (0, os.getgid()))
    set_group(lab, f'"{group.gr_name}"')
    path = lab.ensure(GATED, mask)
    for one in (path, path.parent, path.parents[1]):
        assert one.stat().st_gid == group.gr_gid
    assert mode(path) == 0o640
    assert mode(path.parent) == mode(path.parents[1]) == folder_mode
    assert mode(lab.ensure(LATEST, mask)) == 0o444 & ~mask, "the group is for what is gated"


def test_a_group_that_does_not_exist_is_named(lab: Lab) -> None:
    set_group(lab, '"no_such_group_here"')
    with pytest.raises(ConfigError, match="gated_group: expected a group of this machine, found 'no_such_group_here'"):
        lab.ensure(GATED)
    assert not [path for path in lab.cache.rglob("*.h5*") if path.is_file()]


@pytest.mark.parametrize("text", ['"../x"', "7", '""', '"a\\u0000b"'])
def test_a_group_that_is_no_name_is_refused(lab: Lab, text: str) -> None:
    set_group(lab, text)
    with pytest.raises(ConfigError, match=r"stores\.uk\.gated_group: expected the name of a group"):
        lab.ensure(GATED)
    assert Cache(lab.cache).for_country("us", "frs").circle is None, "of a public country nobody asks"


# --- a second user --------------------------------------------------------------------------------


@needs_root
def test_a_cache_that_one_fills_and_others_read(lab: Lab) -> None:
    members = [lab.pin(LATEST), lab.pin("pe-data://us/areas/b@latest"), lab.pin("pe-data://us/areas@latest")]
    paths = [lab.ensure(uri, 0o022) for uri in members]
    found = lab.as_other(*members)
    assert [one["path"] for one in found] == [str(path) for path in paths]
    assert [one["hashed"] for one in found] == [0, 0, 0], "the stamps are read too"


@needs_root
def test_what_only_its_owner_may_read_is_absent_and_the_error_says_permission(lab: Lab) -> None:
    pin = lab.pin(LATEST)
    lab.ensure(pin, 0o077)
    lab.cache.chmod(0o755)
    (error,) = lab.as_other(pin)
    assert error["kind"] == "CacheError", error
    assert "no permission" in str(error["error"])
    assert "Free some space" not in str(error["error"])


@needs_root
def test_a_cache_that_all_may_write_serves_all(lab: Lab) -> None:
    pin = lab.pin(LATEST)
    first = lab.ensure(pin, 0o000)
    other = "pe-data://us/areas/b@latest"
    shared, fetched, again = lab.as_other(pin, other, other, mask="000")
    assert shared == {"path": str(first), "hashed": 0, "bytes": 6}
    assert fetched["bytes"] == again["bytes"] == 6
    assert lab.ensure(other, 0o000) == Path(str(fetched["path"]))


@needs_root
def test_a_payload_of_another_that_cannot_be_read_is_fetched_again(lab: Lab) -> None:
    pin = lab.pin(LATEST)
    path = lab.ensure(pin, 0o000)
    path.chmod(0o600)
    (found,) = lab.as_other(pin, mask="000")
    assert found["bytes"] == 6, found
    assert path.stat().st_uid == OTHER


@needs_root
def test_the_gated_payload_of_one_user_is_not_anothers(lab: Lab) -> None:
    pin = lab.pin(GATED)
    mine = lab.ensure(pin, 0o000)
    (theirs,) = lab.as_other(pin, mask="000")
    assert theirs["bytes"] == mine.stat().st_size
    assert theirs["path"] != str(mine)
    path = Path(str(theirs["path"]))
    assert (mode(path), path.stat().st_uid) == (0o600, OTHER)
    assert lab.ensure(pin, 0o000) == mine


@needs_root
def test_a_group_that_the_reader_is_not_in_is_refused(lab: Lab) -> None:
    import grp

    group = next(one for one in grp.getgrall() if one.gr_gid not in (0, OTHER))
    lab.ensure(LATEST, 0o000)
    set_group(lab, f'"{group.gr_name}"')
    (error,) = lab.as_other(GATED, mask="000")
    assert error["kind"] == "CacheError", error
    assert f"permission to give it to the group {group.gr_name}" in str(error["error"])
    assert not [path for path in (lab.cache / "artifacts/gated").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "no permission"),
        (13, "no permission"),
        (30, "no permission"),
        (28, "Free some space"),
        (5, "Look at that disk"),
    ],
)
def test_the_advice_fits_the_trouble(number: int, said: str) -> None:
    with pytest.raises(CacheError, match=f"{said}.*with PE_DATA_CACHE"), local_errors(Path("x")):
        raise OSError(number, os.strerror(number))


@needs_root
@pytest.mark.parametrize("closed", [".", "us", ".staging"])
def test_a_store_with_a_folder_that_may_not_be_entered_refuses_by_name(lab: Lab, closed: str) -> None:
    (lab.store.root / closed).chmod(0o700)
    done = forked.run(second_user.write, str(OTHER), str(lab.store.root), str(next((lab.folder / "files").iterdir())))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["StorePermissionError"] * 2
