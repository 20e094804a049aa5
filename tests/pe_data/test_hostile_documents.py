"""Documents that somebody else wrote: digests that are none, and documents that are made to cost time."""

import contextlib
import gc
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import areas, publish_areas

import pe_data
from pe_data.cache.entries import Cache
from pe_data.cache.known_revocations import Known
from pe_data.certify.earlier_release import EarlierRelease
from pe_data.certify.release import DataRelease
from pe_data.cli.tables import column_rows, entity_rows
from pe_data.documents.collection import Collection
from pe_data.documents.document import Part, Text, convert
from pe_data.documents.encoding import READ_LIMIT
from pe_data.documents.envelope import TOMBSTONE_TYPE, parse_envelope
from pe_data.documents.manifest import Manifest
from pe_data.documents.pointer import parse_unsigned
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import InvalidNameError, PeDataError
from pe_data.names.digests import Sha256, canonical_json, first_twice, parse_sha256, sha256_bytes, strict_json
from pe_data.names.keys import collection_key
from pe_data.read.options import Options
from pe_data.read.seen import SeenChannels
from pe_data.read.web import _read_record
from pe_data.store.folder import FolderStore

A = "a" * 64

# --- a digest is made by parsing, and by nothing else ---------------------------------------------


@pytest.mark.parametrize("text", ["../../../etc/passwd", "A" * 64, A + "\n", A[:-1], "", "..", f"{A}/..", 7, None])
def test_there_is_no_digest_that_is_none(text: Any, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for make in (
        Sha256,
        parse_sha256,
        lambda one: cache.path(one, "h5"),
        lambda one: cache.remove(one, "h5"),
        lambda one: cache.find(one),
        lambda one: Known(cache).tombstone_paths(one, "us")[1],
        lambda one: Known(cache).is_due(one, 1.0),
    ):
        with pytest.raises(InvalidNameError, match="64 lower-case hexadecimal digits"):
            make(text)


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=80) | st.text("0123456789abcdef./", min_size=64, max_size=64))
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    try:
        made = Sha256(text)
    except InvalidNameError:
        assert len(text) != 64 or set(text) - set("0123456789abcdef")
    else:
        assert made == text
        assert sha256_bytes(b"") == Sha256(sha256_bytes(b""))


@pytest.mark.parametrize("extension", ["h5", "parquet"])
@pytest.mark.parametrize("field", ["artifact_sha256", "manifest_sha256", "size_bytes", "extension"])
def test_a_pinned_collection_removes_nothing_outside_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, extension: str
) -> None:
    """The pin binds the document, and whoever made both is hostile."""
    victim = tmp_path / "research" / f"only_copy.{extension}"
    victim.parent.mkdir()
    victim.write_bytes(b"years of work")
    store = FolderStore(tmp_path / "store")
    report = publish_areas(store, areas(tmp_path / "files", "states/AL"))
    document = json.loads(store.get(collection_key("us", report.artifact_sha256)).data)
    outside = "../../../research/only_copy"
    document["members"]["x"] = {
        **document["members"]["states/AL"],
        "extension": extension,
        field: f"{outside}.{extension}" if field == "extension" else outside,
    }
    raw = canonical_json(document)
    digest = sha256_bytes(raw)
    store.put_create(collection_key("us", digest), raw)
    cache = tmp_path / "cache"
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    for _ in range(2):
        with pytest.raises(PeDataError, match=field):
            pe_data.ensure(f"pe-data://us/areas/x@sha256:{digest}", cache=cache, store=str(store.root))
    assert not list(cache.rglob("*.collection.json"))  # what is no collection is not kept
    # Nor does one help that an earlier version has kept.
    kept = Cache(cache).path(digest, "collection.json")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(raw)
    with pytest.raises(PeDataError, match=field):
        pe_data.ensure(f"pe-data://us/areas/x@sha256:{digest}", cache=cache, store=str(store.root))
    assert victim.read_bytes() == b"years of work"


def test_a_damaged_memory_of_a_web_file_names_no_path(tmp_path: Path) -> None:
    options = Options(Cache(tmp_path))
    path = options.cache.paths.web_record("https://example.org/a.h5")
    path.parent.mkdir(parents=True)
    for sha256 in ("../../research/only_copy", 7, None):
        path.write_text(json.dumps({"sha256": sha256, "size": 1, "validator": "x"}))
        assert _read_record(options, "https://example.org/a.h5") is None


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "7",
        "[]",
        "{}",
        "{" * 200_000,
        '{"a":' * 200_000,
        "a pipe",
        '{"store": "s", "state": "other", "problem": ""}',
    ],
    ids=lambda text: text[:12] or "empty",
)
def test_a_damaged_memory_counts_as_none(tmp_path: Path, damage: str) -> None:
    cache = Cache(tmp_path)
    payload = cache.write_document(sha256_bytes(b"a"), "collection.json", b"a")
    asked, seen = Known(cache), SeenChannels(cache, "s")
    paths = (
        payload.with_name(f"{payload.name}.stamp"),
        cache.paths.web_record("https://example.org/a.h5"),
        asked.list_path("us", "asked"),
        seen.path("us", "areas", "latest", "seen"),
        seen.path("us", "areas", "latest", "used"),
    )
    assert paths[0].is_file()
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path) if damage == "a pipe" else path.write_text(damage)
    assert _read_record(Options(cache), "https://example.org/a.h5") is None
    assert asked.asked("us", 1e9) is None
    assert seen.last("us", "areas", "latest") is None
    assert list(seen.used(cache, "us")) == []
    assert cache.find(sha256_bytes(b"a")) == payload, "hashed, as without a stamp"
    payload.chmod(0o600)
    payload.write_bytes(b"b")
    assert cache.find(sha256_bytes(b"a")) is None


# --- parsing costs time in proportion to the size ---------------------------------------------------


def names(count: int, start: str = "n") -> list[str]:
    return [f"{start}{number}" for number in range(count)]


def doubled_key(count: int) -> bytes:
    keys = ",".join(f'"{name}":0' for name in [*names(count), "n7"])
    return f"{{{keys}}}".encode()


def manifest(**change: Any) -> bytes:
    base = {
        "schema_version": "1.0",
        "artifact": {"sha256": A, "size_bytes": 7, "media_type": "application/x-hdf5"},
        "country": "us",
        "dataset": "areas",
        "time_period": [2024],
        "entities": {"person": {"rows": 3}},
        "licence": "CC0-1.0",
        "status": "active",
        "access": "public",
    }
    return canonical_json({**base, **change})


def many_entities(count: int) -> bytes:
    """Many entities beside one with many groups: whoever looks through all groups for each is found out."""
    groups = {f"t{name}": [name] for name in names(count)}
    bare = {name: {"rows": 1} for name in names(count)}
    return manifest(entities={**bare, "person": {"rows": 1, "columns": groups}})


def many_links(count: int) -> bytes:
    links = {name: f"c{name}" for name in names(count)}
    person = {"rows": 1, "links": links, "columns": {"int8": sorted(links.values())}}
    return manifest(entities={"person": person})


def doubled_column(count: int) -> bytes:
    columns = {"int8": names(count), "int16": [f"n{count - 1}"]}
    return manifest(entities={"person": {"rows": 1, "columns": columns}})


def doubled_name(count: int) -> bytes:
    columns = {"int8": [*names(count), f"n{count - 1}"]}
    return manifest(entities={"person": {"rows": 1, "columns": columns}})


def many_dtypes(count: int) -> bytes:
    columns = {f"t{name}": [name] for name in names(count)}
    return manifest(entities={"person": {"rows": 1, "columns": columns}})


def many_inputs(count: int) -> bytes:
    files = [{"name": name, "sha256": A, "size_bytes": 1} for name in names(count)]
    return manifest(inputs={"composite_digest": A, "files": files})


def many_years(count: int) -> bytes:
    return manifest(time_period=list(range(count)))


def collection(count: int) -> bytes:
    member = {"artifact_sha256": A, "manifest_sha256": A, "size_bytes": 1, "extension": "h5"}
    document = {"schema_version": 1, "kind": "collection", "country": "us", "dataset": "areas", "run_id": "r"}
    return canonical_json({**document, "members": dict.fromkeys(names(count), member)})


def tombstone(count: int, twice: bool = False) -> bytes:
    members = sorted(sha256_bytes(name.encode()) for name in names(count))
    if twice:
        members.append(members[-1])
    document = {"schema_version": 1, "kind": "tombstone", "country": "us", "dataset": "areas", "artifact_sha256": A}
    line = {"reason": "r", "date": "2026-01-31T12:00:00Z", "revoked_by": "b", "licence": "l"}
    return canonical_json({**document, **line, "members": members})


def envelope(count: int) -> bytes:
    rows = [{"keyid": name, "sig": "c2ln"} for name in names(count)]
    return canonical_json({"payloadType": TOMBSTONE_TYPE, "payload": "e30=", "signatures": rows})


def pointer(count: int) -> bytes:
    return canonical_json({"schema_version": 1, "version": 1, **dict.fromkeys(names(count), 0)})


def earlier_release(count: int) -> bytes:
    uri, build = f"pe-data://us/areas@sha256:{A}", {"name": "p", "version": "1"}
    row = {"path": "p", "uri": uri, "revision": f"sha256:{A}", "sha256": A, "size_bytes": 1, "metadata_sha256": A}
    held = {"compatibility_basis": "exact_build_model_version", "data_build_fingerprint": None, "certified_by": "b"}
    held |= dict.fromkeys(("model_package", "built_with_model_version", "certified_for_model_version"), "m")
    checked = {"status": "passed", "checked": 1, "levels": {}, "policy_sha256": A, "records_sha256": A}
    signed = {"dataset": "areas", "channel": "next", "version": 1, "signed_by": ["k"], "trust_root_version": 1}
    digests = dict.fromkeys(("pointer_sha256", "artifact_sha256", "manifest_sha256"), A)
    time = "2026-01-31T12:00:00Z"
    return canonical_json(
        {
            "schema_version": 1,
            "country_id": "us",
            "build_id": "b",
            "data_producer": "p",
            "data_package": {**build, "store": "s", "namespace": "n"},
            "default_dataset": "n0",
            "datasets": dict.fromkeys(names(count), row),
            "certified_data_artifact": {
                "data_package": build,
                "build_id": "b",
                "dataset": "n0",
                "uri": uri,
                "sha256": A,
            },
            "certification": {**held, "data_build_id": "b", "certified_at": time},
            "nominations": [{**signed, **digests, "expires": time, "validation": checked}],
        }
    )


def release(count: int) -> bytes:
    """Today's form, of the same."""
    old = json.loads(earlier_release(1))
    package, uri = {"name": "p", "version": "1"}, "hf://o/r/p@t"
    held = {"compatibility_basis": "built_with_model_package", "core_binding": "bundle_pin", "certified_by": "b"}
    held |= dict.fromkeys(("built_with_model_version", "certified_for_model_version", "data_build_id"), "m")
    place = {"release_manifest_path": "m", "release_manifest_revision": "t"}
    stored = {"uri": f"pe-data://us/areas@sha256:{A}", "size_bytes": 1, "extension": "h5"}
    stored |= {"nominated": f"sha256:{A}", "manifest_sha256": A}
    return canonical_json(
        {
            **{name: old[name] for name in ("schema_version", "country_id", "build_id", "data_producer")},
            **dict.fromkeys(("bundle_id", "policyengine_version", "version"), "v"),
            **dict.fromkeys(("release_manifest_uri", "source_manifest_uri"), "u"),
            "model_package": package,
            "data_package": {**package, "repo_id": "o/r", "repo_type": "model", **place},
            "default_dataset": "n0",
            "default_dataset_uri": uri,
            "datasets": {key: {"path": "p", "repo_id": "o/r", "revision": "t", "sha256": A} for key in names(count)},
            "region_datasets": {key: {"path_template": "p"} for key in names(count)},
            "certified_data_artifact": {
                "data_package": package,
                "build_id": "b",
                "dataset": "n0",
                "uri": uri,
                "sha256": A,
            },
            "certification": held,
            "pe_data": {
                "namespace": "n",
                "certified_at": "2026-01-31T12:00:00Z",
                "release_manifest_sha256": A,
                "files": dict.fromkeys(names(count), stored),
                "nominations": old["nominations"],
            },
        }
    )


def shown(raw: bytes) -> None:
    read = Manifest.from_bytes(raw)
    read.to_bytes()
    column_rows(read)
    entity_rows(read)


KINDS: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes], int]] = {
    "json, a doubled key": (lambda raw: strict_json(raw, what="x"), doubled_key, 2_500),
    "manifest, entities": (Manifest.from_bytes, many_entities, 2_000),
    "manifest, links": (shown, many_links, 1_000),
    "manifest, a column twice": (shown, doubled_column, 2_000),
    "manifest, a name twice": (shown, doubled_name, 2_000),
    "manifest, dtypes": (shown, many_dtypes, 400),
    "manifest, inputs": (shown, many_inputs, 300),
    "manifest, years": (shown, many_years, 8_000),
    "collection": (lambda raw: Collection.from_bytes(raw, what="x"), collection, 500),
    "tombstone": (lambda raw: Tombstone.from_bytes(raw, what="x"), tombstone, 2_000),
    "tombstone, a member twice": (
        lambda raw: Tombstone.from_bytes(raw, what="x"),
        lambda count: tombstone(count, twice=True),
        2_000,
    ),
    "envelope": (lambda raw: parse_envelope(raw, payload_type=TOMBSTONE_TYPE, what="x"), envelope, 1_500),
    "pointer": (lambda raw: parse_unsigned(raw, what="x"), pointer, 2_500),
    "collection, a member wrong": (
        lambda raw: Collection.from_bytes(raw.replace(b'"size_bytes":1}}', b'"size_bytes":-1}}'), what="x"),
        collection,
        500,
    ),
    "data release": (lambda raw: DataRelease.from_bytes(raw, "x"), release, 200),
    "data release, earlier": (lambda raw: EarlierRelease.from_bytes(raw, "x"), earlier_release, 200),
}


def seconds(parse: Callable[[bytes], object], raw: bytes) -> float:
    """Of the processor, so that other work on the machine does not count; the better of two.

    Nor does a full collection of what other tests left in memory, which takes longer than most documents.
    """
    best = float("inf")
    gc.disable()
    for _ in range(2):
        began = time.process_time()
        with contextlib.suppress(PeDataError):
            parse(raw)
        best = min(best, time.process_time() - began)
    gc.enable()
    return best


@pytest.mark.parametrize(
    "kind",
    ["collection", "data release", "data release, earlier", "manifest, links", "manifest, years", "tombstone"],
)
def test_what_is_measured_is_a_document(kind: str) -> None:
    parse, make, _ = KINDS[kind]
    parse(make(3))


@pytest.mark.parametrize("kind", KINDS)
def test_parsing_is_linear_in_the_size(kind: str) -> None:
    parse, make, count = KINDS[kind]
    for _ in range(3):  # a busy machine spoils a measurement, and not three of them
        small, large = (seconds(parse, make(count * factor)) for factor in (1, 8))
        # Eight times the size: eight times the time if it is linear, 64 times if it is quadratic.
        if large < 25 * max(small, 0.002):
            return
    pytest.fail(f"{kind}: {small:.4f} s, and {large:.4f} s for eight times as much")


@pytest.mark.parametrize("keys", [100_000, pytest.param(350_000, marks=pytest.mark.slow)])
def test_the_largest_document_with_a_doubled_key_is_refused_at_once(keys: int) -> None:
    """350,000 keys are as many as a manifest may have, and with one of them twice they took more than an hour."""
    raw = doubled_key(keys)
    assert len(raw) <= READ_LIMIT
    began = time.process_time()
    with pytest.raises(PeDataError, match="'n7' stands twice"):
        strict_json(raw, what="x")
    assert time.process_time() - began < 5


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9)))
def test_the_first_that_stands_twice(values: list[int]) -> None:
    twice = first_twice(values)
    if twice is None:
        assert len(set(values)) == len(values)
    else:
        before = list(itertools.takewhile(lambda at: values[at] not in values[:at], range(len(values))))
        assert values[len(before)] == twice


class Texts(Part, frozen=True):
    a: tuple[Literal["b"], ...] = ()
    c: Mapping[Literal["d"], Text] = {}


def test_an_error_about_a_long_name_is_short() -> None:
    long = "x" * 1_000_000
    for raw in (
        f'{{"{long}":1,"{long}":2}}'.encode(),
        canonical_json({"a": [long, long]}),
        canonical_json({"c": {long: 7}}),
    ):
        with pytest.raises(PeDataError) as error:
            convert(strict_json(raw, what="x"), Texts, "x")
        assert len(str(error.value)) < 300
