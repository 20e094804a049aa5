"""`pe_data.policyengine`, with a stand-in for the package; tests/pe_data/test_neighbours.py has the real one."""

import inspect
import sys
import tomllib
import types
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from revocation_helpers import AL, NC, REASON, World, make_world
from storage_helpers import areas, make_item, publish_areas, replace

from pe_data import policyengine
from pe_data.cache.entries import Cache
from pe_data.cache.maintain import verify_cache
from pe_data.documents.manifest import Artifact
from pe_data.errors import CacheError, CacheWarning, InputError, InvalidNameError, MissingExtraError, RevokedError
from pe_data.names.digests import sha256_bytes
from pe_data.names.keys import MEDIA_TYPES
from pe_data.write.publish import publish_artifact

ROOT = Path(__file__).parents[2]


class Made:
    """What the package gives for a file and a year."""

    def __init__(self, path: str, year: int) -> None:
        self.data, self.year, self.metadata = Path(path).read_bytes(), year, {"kept": True}


Calls = list[dict[str, Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls of a package that keys files per year by the stem of the path, up to the last `@`."""
    asked: Calls = []

    def ensure_datasets(**arguments: Any) -> dict[str, Made]:
        asked.append(arguments)
        return {
            f"{Path(path.rsplit('@', 1)[0]).stem}_{year}": Made(path, year)
            for path in arguments["datasets"]
            for year in arguments["years"]
        }

    package = types.ModuleType("policyengine")
    package.us = types.SimpleNamespace(ensure_datasets=ensure_datasets)  # type: ignore[attr-defined]
    package.uk = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "policyengine", package)
    return asked


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return make_world(tmp_path, monkeypatch)


def ask(*addresses: str, **more: Any) -> dict[str, Any]:
    return policyengine.ensure_datasets(list(addresses), **{"years": [2026], "allow_unmanaged": True, **more})


def latest(name: str) -> str:
    return f"pe-data://us/areas/{name}@latest"


def test_addresses_become_datasets_of_the_package(world: World, calls: Calls) -> None:
    found = ask(latest(NC), latest(AL), years=(2026, 2027), data_folder="there")
    assert set(found) == {"NC_2026", "NC_2027", "AL_2026", "AL_2027"}
    (call,) = calls
    assert (call["years"], call["data_folder"], call["allow_unmanaged"]) == ([2026, 2027], "there", True)
    for name, path in zip((NC, AL), map(Path, call["datasets"]), strict=True):
        digest = sha256_bytes(name.encode())
        short = name.rpartition("/")[2]
        assert path.name == f"{short}-{digest[:16]}.h5"
        assert path.resolve().stem == digest
        made = found[f"{short}_2027"]
        assert (made.data, made.year, made.metadata["kept"]) == (name.encode(), 2027, True)
        facts = made.metadata["pe_data"]
        assert facts["address"] == world.member(name)
        assert (facts["asked_for"], facts["sha256"], facts["size_bytes"]) == (latest(name), digest, len(name))
        assert len(facts["manifest_sha256"]) == 64
        assert policyengine.resolve(facts["address"]) == str(path)


def test_other_bytes_get_another_name(world: World, calls: Calls) -> None:
    before = ask(latest(NC))["NC_2026"]
    publish_areas(world.store, areas(world.folder / "newer", NC, AL, salt="2"), run_id="r2", now=datetime.now(UTC))
    after = ask(latest(NC))["NC_2026"]
    assert (before.data, after.data) == (NC.encode(), f"{NC}2".encode())
    first, second = (Path(call["datasets"][0]) for call in calls)
    assert first.name != second.name
    assert before.metadata["pe_data"]["address"] != after.metadata["pe_data"]["address"]


def test_nothing_happens_unless_the_caller_says_unmanaged(world: World, calls: Calls) -> None:
    with pytest.raises(InputError, match="allow_unmanaged=True"):
        policyengine.ensure_datasets([latest(NC)], [2026])
    assert calls == []
    assert not hasattr(import_module("policyengine"), "dataset_resolvers"), "nothing is patched by importing"


@pytest.mark.parametrize("wrong", [None, [], latest(NC)])
def test_a_list_of_addresses_is_needed(wrong: Any) -> None:
    with pytest.raises(InputError, match="expected a list of pe-data:// addresses"):
        policyengine.ensure_datasets(wrong, [2026], allow_unmanaged=True)


@pytest.mark.parametrize("address", ["hf://owner/data/x.h5@1.0", "x.h5", "https://example.org/x.h5"])
def test_another_kind_of_address_is_refused(calls: Calls, address: str) -> None:
    with pytest.raises(InvalidNameError):
        ask(address)
    assert calls == []


def test_names_that_meet_and_countries_that_mix_are_refused(world: World, calls: Calls) -> None:
    with pytest.raises(InputError, match="expected different names"):
        ask(latest("states/NC"), latest("cities/NC"))
    with pytest.raises(InputError, match="one country, found uk and us"):
        ask(latest(NC), "pe-data://uk/regions/wales@latest")
    with pytest.raises(InputError, match="a collection"):
        ask("pe-data://us/areas@latest")
    assert len(ask(latest(NC), latest(NC))) == 1


def test_a_parquet_file_is_refused(world: World, calls: Calls) -> None:
    made = make_item(world.folder, "table", b"parquet", dataset="table")
    artifact = Artifact(sha256_bytes(b"parquet"), 7, MEDIA_TYPES["parquet"])
    publish_artifact(world.store, replace(made, manifest=replace(made.manifest, artifact=artifact)))
    with pytest.raises(InputError, match="H5 file, found a file of kind parquet"):
        ask("pe-data://us/table@latest")


@pytest.mark.parametrize("missing", [True, False])
def test_without_the_package_or_its_country_one_line_says_so(
    world: World, calls: Calls, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    if missing:
        monkeypatch.setitem(sys.modules, "policyengine", None)
    else:
        monkeypatch.setattr(sys.modules["policyengine"], "us", None)
    with pytest.raises(MissingExtraError, match=r"policyengine\.us: expected the package policyengine\[us\]"):
        ask(latest(NC))


def test_an_at_sign_in_the_cache_folder_is_refused(
    world: World, calls: Calls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The package would cut the name there, and take every file for the same."""
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "me@work"))
    with pytest.raises(CacheError, match="without '@'"):
        ask(latest(NC))


def test_a_link_that_leads_elsewhere_is_replaced(world: World, calls: Calls) -> None:
    path = Path(policyengine.resolve(latest(NC)))
    path.unlink()
    path.symlink_to("/etc/hostname")
    assert Path(policyengine.resolve(latest(NC))).read_bytes() == NC.encode()
    path.unlink()
    path.write_bytes(b"planted")
    assert Path(policyengine.resolve(latest(NC))).read_bytes() == NC.encode()
    assert all(one.right for one in verify_cache(Cache(world.cache)))


def test_what_is_known_of_a_revocation_is_told(world: World, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> dict[str, Any]:
        (made,) = ask(latest(NC)).values()
        found: dict[str, Any] = made.metadata["pe_data"]["revocation"]
        return found

    assert told()["state"] == "unknown"
    world.publish_list(world.propose())
    world.a_day_later()
    assert (told()["state"], told()["list_version"]) == ("not revoked", 1)
    world.revoke(world.single(NC))
    world.a_day_later()
    with pytest.raises(RevokedError, match=REASON):
        told()
    monkeypatch.setenv("PE_DATA_OFFLINE", "1")
    with pytest.warns(CacheWarning, match="REVOKED"):
        (made,) = ask(world.member(NC)).values()
    assert made.metadata["pe_data"]["revocation"]["state"] == "revoked"
    assert REASON in made.metadata["pe_data"]["revocation"]["said"]


def test_a_run_record_binds_where_the_data_came_from(world: World, calls: Calls) -> None:
    (made,) = ask(latest(NC)).values()
    simulation = types.SimpleNamespace(dataset=made)
    extra = policyengine.run_record_extra(simulation, {"endpoint": "economy"})
    assert extra == {"request_payload": {"endpoint": "economy", "pe_data": made.metadata["pe_data"]}}
    made.metadata.clear()
    with pytest.raises(InputError, match=r"pe_data\.policyengine\.ensure_datasets"):
        policyengine.run_record_extra(simulation)


def test_the_entry_point_names_the_resolver() -> None:
    project = tomllib.loads((ROOT / "packages/pe-microdata/pyproject.toml").read_text())["project"]
    (group,) = (project["entry-points"]["policyengine.dataset_resolvers"],)
    module, _, name = group["pe-data"].partition(":")
    resolver: Callable[..., str] = getattr(import_module(module), name)
    assert resolver is policyengine.resolve
    assert not any("policyengine" in text for text in project["dependencies"])


def test_the_signature() -> None:
    given = inspect.signature(policyengine.ensure_datasets).parameters
    assert list(given) == ["datasets", "years", "data_folder", "allow_unmanaged"]
    assert [one.default for one in given.values()] == [None, (2024, 2025, 2026, 2027, 2028), "./data", False]
