"""Columns of an area out of the nation that is split by district: verified ranges alone, and the values of the H5."""

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fetch_helpers import Fault, WebServer
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import NOW, at_time
from validation_world import Run, copy_of, make_run

import nation_parquet
import pe_data
from local_h5.build.area import BuildOptions, build_area
from local_h5.contracts.results import read_sidecar, sidecar_path, write_sidecar
from local_h5.errors import ResultError
from pe_data.cache.entries import Cache
from pe_data.cache.maintain import prune, verify_cache
from pe_data.describe.file import Label, describe
from pe_data.describe.range_index import HEAD_KEY, SCHEMA, Chunk, RangeIndex, source_of
from pe_data.documents.collection import Collection
from pe_data.documents.manifest import Build
from pe_data.errors import (
    CacheWarning,
    DigestMismatchError,
    FetchError,
    InputError,
    InvalidDocumentError,
    OfflineError,
    PeDataError,
    RangeNotSupportedError,
    RevokedError,
)
from pe_data.names.digests import Sha256, sha256_bytes, sha256_file
from pe_data.names.keys import payload_key, tombstone_key
from pe_data.read.spans import GAP_SHARE, spans
from pe_data.store.byte_source import Body
from pe_data.store.folder import FolderStore
from pe_data.store.objects import ObjectStore
from pe_data.store.opening import open_store
from pe_data.write.by_area import Split, write_by_area
from pe_data.write.folder import item_of, items_in
from pe_data.write.publish import publish_collection

URI = "pe-data://us/local_areas@latest"
SPLIT = "national/US"
DISTRICTS = ("AK-01", "CA-34", "DC-01", "NC-01", "NC-12")
ENTITIES = ("family", "household", "marital_unit", "person", "spm_unit", "tax_unit")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("ranges"))
    split(run.settings.results)
    return run


def split(results: Path) -> Path:
    """Split the nation of some results, as the workflow does. Returns the folder."""
    h5 = results / f"{SPLIT}.h5"
    nation_parquet.split_nation(h5, sidecar_path(h5), results / SPLIT)
    return results / SPLIT


def publish(run: Run, store: Any, leave_out: str = "") -> None:
    items = items_in(run.settings.results, Label("us", "local_areas", licence="CC0-1.0"))
    items = {name: item for name, item in items.items() if not (leave_out and name.startswith(leave_out))}
    at_time(NOW, publish_collection, store, items, country="us", dataset="local_areas", run_id="r1", allow_removal=True)


@pytest.fixture(scope="module")
def published(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "store"
    publish(run, FolderStore(folder))
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("PE_DATA_STORE", str(published))
    for name in ("PE_DATA_MIRRORS", "PE_DATA_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def damaged(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the store, to be spoiled."""
    folder = tmp_path / "damaged"
    shutil.copytree(published, folder)
    monkeypatch.setenv("PE_DATA_STORE", str(folder))
    return folder


def index_of(run: Run) -> RangeIndex:
    return RangeIndex.read(run.settings.results / SPLIT / "index.parquet", "index")


def payload(store: Path, sha256: str) -> Path:
    return store / payload_key("us", sha256, "parquet")


def spoil(path: Path, at: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def every_variable(run: Run) -> list[str]:
    return sorted({column.variable for column in read_sidecar(sidecar_path(run.path("US"))).columns})


def address(area: str) -> str:
    folder = "national" if area == "US" else "districts" if "-" in area else "states"
    return f"pe-data://us/local_areas/{folder}/{area}@latest"


def own(area: str, variables: list[str] | None = None) -> dict[str, pd.DataFrame]:
    """Frames of an area's own file."""
    return pe_data.open(address(area), variables)


# --- the same as the H5 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("area", DISTRICTS)
def test_every_variable_of_a_district_is_that_of_its_own_file(run: Run, area: str) -> None:
    expected = own(area, every_variable(run))
    cut = pe_data.open(URI, every_variable(run), area=area)
    assert sorted(cut) == list(ENTITIES)
    for entity, frame in expected.items():
        pd.testing.assert_frame_equal(cut[entity], frame)


@pytest.mark.parametrize("area", ["AK", "CA", "DC", "NC", ("NC-01", "NC-12")])
def test_a_state_has_the_rows_of_its_own_file_by_district(run: Run, area: Any) -> None:
    expected = own(area if isinstance(area, str) else "NC", every_variable(run))
    cut = pe_data.open(URI, every_variable(run), area=area)
    for entity, frame in expected.items():
        key = f"{entity}_id"
        pd.testing.assert_frame_equal(
            cut[entity].sort_values(key, ignore_index=True), frame.sort_values(key, ignore_index=True)
        )
    districts = cut["household"]["congressional_district_geoid"].to_numpy()
    assert (np.diff(districts) >= 0).all()


def test_all_districts_together_are_the_nation(run: Run) -> None:
    expected = own("US")
    cut = pe_data.open(URI, area=DISTRICTS)
    assert set(cut) == set(expected)
    for entity, frame in expected.items():
        key = f"{entity}_id"
        ordered = frame.sort_values(key, ignore_index=True)
        pd.testing.assert_frame_equal(cut[entity].sort_values(key, ignore_index=True)[list(frame)], ordered)


def test_entities_without_a_wanted_column_are_left_out_and_their_files_not_asked() -> None:
    frames = pe_data.open(URI, ["age", "employment_income"], area="NC-01")
    assert set(frames) == {"person", "household"}  # the household for its weight
    assert list(frames["person"])[:2] == ["age", "employment_income"]
    with pytest.warns(UserWarning, match="sample"):
        assert str(frames.total("age")) == str(pe_data.open(address("NC-01"), ["age"]).total("age"))


def test_a_row_group_is_read_once_however_often_it_is_asked_for() -> None:
    twice = pe_data.open(URI, "age", area=["NC-01", "NC", "NC-01"])["person"]
    pd.testing.assert_frame_equal(twice, pe_data.open(URI, "age", area="NC")["person"])


@pytest.mark.parametrize("spelling", ["00", "01"])
def test_an_at_large_district_is_found_by_its_name_however_it_is_coded(run: Run, tmp_path: Path, spelling: Any) -> None:
    path = tmp_path / "results" / "national" / "US.h5"
    result = build_area(
        run.request("US"), run.inputs, tmp_path / "results", options=BuildOptions(district_codes=spelling)
    )
    write_sidecar(path, result)
    split(tmp_path / "results")
    assert set(DISTRICTS) <= RangeIndex.read(tmp_path / "results" / SPLIT / "index.parquet", "index").areas


def test_households_whose_district_is_not_known_belong_to_their_state(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "other")
    shutil.rmtree(other.settings.results / SPLIT)

    def forget(values: np.ndarray) -> np.ndarray:
        return np.where(values == 3712, 0, values).astype(values.dtype)

    other.edit("US", "congressional_district_geoid", forget)
    split(other.settings.results)
    publish(other, FolderStore(tmp_path / "store"))
    store = str(tmp_path / "store")
    state = pe_data.open(URI, ["household_id"], area="NC", store=store)["household"]["household_id"]
    one = pe_data.open(URI, ["household_id"], area="NC-01", store=store)["household"]["household_id"]
    whole = own("NC", ["household_id"])["household"]["household_id"]
    assert sorted(state) == sorted(whole)
    assert 0 < len(one) < len(state)
    with pytest.raises(InputError, match=r"\['NC-12'|'NC-12'"):
        pe_data.open(URI, ["household_id"], area=["NC-01", "NC-12"], store=store)


def test_a_month_of_a_variable(tmp_path: Path) -> None:
    h5, months = tmp_path / "files" / "national" / "US.h5", {f"2024-{month:02d}": [month, -month] for month in (1, 2)}
    h5.parent.mkdir(parents=True)
    with h5py.File(h5, "w") as file:
        file["person_id/2024"] = [1, 2]
        for month, values in months.items():
            file[f"snap/{month}"] = values
    table = pa.table({"person_id": [1, 2], **{f"snap@{month}": values for month, values in months.items()}})
    splits = [Split("NC", f"NC-0{n + 1}", {"person": (n, n + 1)}) for n in range(2)]
    write_by_area(h5.with_suffix(""), {"person": lambda: table}, splits, years=(2024,), source=sha256_file(h5))
    items = items_in(tmp_path / "files", Label("us", "split"))
    at_time(NOW, publish_collection, FolderStore(tmp_path / "split"), items, country="us", dataset="split", run_id="r")
    frame = pe_data.open("pe-data://us/split@latest", "snap", area="NC-02", store=tmp_path / "split")["person"]
    assert frame[[f"snap@{month}" for month in months]].to_dict("list") == {"snap@2024-01": [-1], "snap@2024-02": [-2]}


def test_an_index_of_another_nation(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "other")
    other.edit("US", "age", lambda values: values + 1)
    publish(other, FolderStore(tmp_path / "store"))
    with pytest.raises(DigestMismatchError, match="US/index@latest: expected an index of national/US"):
        pe_data.open(URI, "age", area="NC-01", store=tmp_path / "store")


@settings(deadline=None, max_examples=20)
@given(sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6), data=st.data())
def test_any_split_reads_back(sizes: list[int], data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    ends = np.cumsum([0, *sizes])
    rows = int(ends[-1])
    floats = data.draw(st.lists(st.floats(width=32), min_size=rows, max_size=rows))
    texts = data.draw(
        st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), min_size=rows, max_size=rows)
    )
    table = pa.table({"x": pa.array(floats, pa.float32()), "name": pa.array(texts, pa.string())})
    splits = [Split("S", f"S-{n}", {"row": (int(ends[n]), int(ends[n + 1]))}) for n in range(len(sizes))]
    write_by_area(folder, {"row": lambda: table}, splits, years=(2024,), source=Sha256("ab" * 32))
    index = RangeIndex.read(folder / "index.parquet", "index")
    file = pq.ParquetFile(folder / "row.parquet")
    for n, size in enumerate(sizes):
        groups = index.row_groups([f"S-{n}"])["row"]
        assert len(groups) == (size > 0)
        if groups:
            expected = table.slice(ends[n], size).to_pandas()
            pd.testing.assert_frame_equal(file.read_row_groups(groups).to_pandas(), expected)
    raw = (folder / "row.parquet").read_bytes()
    footer = index.head.files["row"].footer
    assert sha256_bytes(raw[footer.offset :]) == footer.sha256
    for chunk in index.chunks("row", range(len(sizes)), ["x", "name"]):
        assert sha256_bytes(raw[chunk.offset : chunk.end]) == chunk.sha256


# --- which bytes are read -------------------------------------------------------------------------------------------


def test_bytes_of_one_district(run: Run, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data at most 1.1 times the columns' own; footer and index once for each digest."""
    index = index_of(run)
    names = {entity: payload_key("us", file.sha256, "parquet") for entity, file in index.head.files.items()}
    key = payload_key("us", sha256_file(run.settings.results / SPLIT / "index.parquet"), "parquet")
    with WebServer(published) as server:
        monkeypatch.setenv("PE_DATA_STORE", server.url)
        for area, again in (("NC-01", False), ("NC-01", True), ("CA-34", True)):
            server.sent.clear()
            frames = pe_data.open(URI, ["age", "household_weight", "employment_income"], area=area)
            wanted = {entity: list(frame) for entity, frame in frames.items()}
            groups = index.row_groups([area])
            for entity, name in names.items():
                chunks = index.chunks(entity, groups[entity], wanted.get(entity, ()))
                data = sum(chunk.size_bytes for chunk in chunks)
                footer = index.head.files[entity].footer.size_bytes if entity in wanted and not again else 0
                assert data + footer <= server.sent[name] <= 1.1 * data + footer, (area, entity)
            assert (server.sent[key] > 0) == (not again)
        assert not any(name.endswith(".h5") for name in server.gets)


def test_a_whole_district_is_its_own_file_and_no_footer(
    run: Run, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = own("NC-01")
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "fresh"))
    with WebServer(published) as server:
        monkeypatch.setenv("PE_DATA_STORE", server.url)
        frames = pe_data.open(URI, area="NC-01")
        asked = {name for name in server.gets if name.endswith((".h5", ".parquet"))}
        assert asked == {payload_key("us", sha256_file(run.path("NC-01")), "h5")}
    for entity, frame in expected.items():
        pd.testing.assert_frame_equal(frames[entity], frame)


@pytest.mark.parametrize("uri", ["pe-data://us/local_areas/national/US@latest", URI])
def test_the_split_file_may_be_named(uri: str) -> None:
    assert len(pe_data.open(uri, "age", area="NC-12")["person"]) > 0


def test_an_area_with_a_file_but_no_ranges_is_read_from_its_file(run: Run, tmp_path: Path) -> None:
    publish(run, FolderStore(tmp_path / "store"), leave_out=f"{SPLIT}/")
    found = pe_data.open(URI, "age", area="NC-01", store=tmp_path / "store")
    pd.testing.assert_frame_equal(found["person"], pe_data.open(URI, "age", area="NC-01")["person"])
    with pytest.raises(InputError, match=r"area: expected .* file of its own, .*'NC-02'.* Did you mean NC-0?1"):
        pe_data.open(URI, "age", area="NC-02", store=tmp_path / "store")


def test_a_file_that_is_in_the_cache_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = pe_data.open(URI, "age", area="NC-01")["person"]
    pin = pe_data.resolve(URI).pinned
    with pytest.raises(OfflineError):
        pe_data.open(pin, "age", area="DC-01", store="https://127.0.0.1:1/s", offline=True)
    for entity in ("person", "household"):
        pe_data.ensure(f"pe-data://us/local_areas/{SPLIT}/{entity}@latest")
    offline = pe_data.open(pin, "age", area="NC-01", store="https://127.0.0.1:1/s", offline=True)
    pd.testing.assert_frame_equal(offline["person"], expected)


def test_ranges_from_s3(run: Run, s3_server: dict[str, str], s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"s3://{s3_bucket}/areas", options=s3_server)
    publish(run, store)
    for name, value in s3_server.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "1")
    expected = own("NC-01", ["age"])["person"]
    asked: list[tuple[str, int, int | None]] = []
    real = ObjectStore.open

    def noting(self: ObjectStore, key: str, start: int = 0, length: int | None = None, pace: Any = None) -> Body:
        asked.append((key, start, length))
        return real(self, key, start, length, pace)

    monkeypatch.setattr(ObjectStore, "open", noting)
    frames = pe_data.open(URI, ["age"], area="NC-01", store=f"s3://{s3_bucket}/areas")
    pd.testing.assert_frame_equal(frames["person"], expected)
    file, index = index_of(run).head.files["person"], index_of(run)
    chunks = index.chunks("person", index.row_groups(["NC-01"])["person"], list(frames["person"]))
    asked_of_file = [pair for name, *pair in asked if name == payload_key("us", file.sha256, "parquet")]
    wanted = [[file.footer.offset, file.footer.size_bytes], *([one.offset, one.size_bytes] for one in spans(chunks))]
    assert sorted(asked_of_file) == sorted(wanted)


def test_a_server_without_ranges_is_told_of(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WebServer(published, ranges=False) as server:
        monkeypatch.setenv("PE_DATA_STORE", server.url)
        with pytest.raises(RangeNotSupportedError, match="sends whole files"):
            pe_data.open(URI, "age", area="NC-01")


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 100)), min_size=1, max_size=12),
)
def test_requests_cover_all_ranges_and_little_else(parts: list[tuple[int, int]]) -> None:
    chunks, at = [], 4
    for gap, size in parts:
        chunks.append(Chunk("row", 0, str(at), at + gap, size, Sha256("ab" * 32)))
        at += gap + size
    made = spans(chunks[::-1])
    assert [chunk for span in made for chunk in span.chunks] == chunks
    wanted = sum(chunk.size_bytes for chunk in chunks)
    assert wanted <= sum(span.size_bytes for span in made) <= wanted * (1 + GAP_SHARE)
    neighbours = sum(one.end == two.offset for one, two in pairwise(chunks))
    assert len(made) <= len(chunks) - neighbours


def test_the_collection_is_located_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, read = Collection.from_bytes, []

    def noting(raw: bytes, what: str = "") -> Collection:
        read.append(what)
        return real(raw, what=what)

    monkeypatch.setattr(Collection, "from_bytes", noting)
    pe_data.open(URI, ["age", "household_weight"], area="NC-01")
    assert len(read) == 1


def test_the_parts_say_what_the_whole_file_says(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build, inputs and notes; the area is said of the whole file alone."""
    other = copy_of(run, tmp_path / "other")
    h5 = other.path("US")
    write_sidecar(h5, msgspec.structs.replace(read_sidecar(sidecar_path(h5)), notes={"geography": "made up"}))
    items = items_in(other.settings.results, Label("us", "local_areas", notes=("one line",)))
    whole = items[SPLIT]
    assert whole.about.notes == ("one line", "geography: made up")
    assert whole.manifest.build != Build()
    for name in (*ENTITIES, "index"):
        part = items[f"{SPLIT}/{name}"]
        assert (part.manifest.build, part.manifest.inputs) == (whole.manifest.build, whole.manifest.inputs)
        assert part.about == msgspec.structs.replace(whole.about, area=None)
    with monkeypatch.context() as there:
        there.chdir(h5.with_suffix(""))
        for path in ("person.parquet", "./person.parquet", f"../{h5.stem}/person.parquet"):
            assert item_of(Path(path), Label("us", "local_areas")).manifest.build == whole.manifest.build
    other.edit("US", "age", lambda values: values + 1)  # now they are of another file
    with pytest.warns(CacheWarning, match="split from another US.h5"):
        items = items_in(other.settings.results, Label("us", "local_areas"))
    assert items[f"{SPLIT}/person"].manifest.build == Build()


# --- what is wrong is not used --------------------------------------------------------------------------------------


def one_chunk(run: Run, column: str = "age", entity: str = "person", area: str = "NC-01") -> Chunk:
    index = index_of(run)
    return index.chunks(entity, index.row_groups([area])[entity], [column])[0]


@pytest.mark.parametrize("place_of_byte", [0, -1])
def test_a_flipped_byte_is_refused_and_named(run: Run, damaged: Path, place_of_byte: int) -> None:
    chunk = one_chunk(run)
    path = payload(damaged, index_of(run).head.files["person"].sha256)
    spoil(path, chunk.offset if place_of_byte == 0 else chunk.end - 1)
    with pytest.raises(
        DigestMismatchError, match=f"person@latest: row group {chunk.row_group}, column age: .*"
    ) as caught:
        pe_data.open(URI, "age", area="NC-01")
    assert "\n" not in str(caught.value)
    pe_data.open(URI, "employment_income", area="NC-01")  # another column of the row group is whole
    pe_data.open(URI, "age", area="CA-34")


def test_a_mirror_helps(run: Run, damaged: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = one_chunk(run)
    spoil(payload(damaged, index_of(run).head.files["person"].sha256), chunk.offset)
    monkeypatch.setenv("PE_DATA_MIRRORS", str(published))
    with pytest.warns(CacheWarning, match="skipped"):
        frames = pe_data.open(URI, "age", area="NC-01")
    pd.testing.assert_frame_equal(frames["person"], own("NC-01", ["age"])["person"])


def test_every_place_that_is_wrong_is_named(
    run: Run, damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(payload(damaged, index_of(run).head.files["person"].sha256), one_chunk(run).offset)
    shutil.copytree(damaged, tmp_path / "mirror")
    monkeypatch.setenv("PE_DATA_MIRRORS", str(tmp_path / "mirror"))
    with pytest.raises(FetchError, match=r"no place delivered .*damaged: .*mirror: "):
        pe_data.open(URI, "age", area="NC-01")


@pytest.mark.parametrize("part", ["footer", "column"])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("lying"), "{part}.*: expected sha256"),
        (Fault("short"), "from {offset}"),
        (Fault("cut", at=1), "from {offset}"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_a_server_that_sends_other_bytes(
    published: Path, fault: Fault, said: str, part: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file with the persons alone; the index and the other files come as they are."""
    index = index_of(run)
    file, groups = index.head.files["person"], index.row_groups(["NC-12"])["person"]
    last = index.chunks("person", groups, index.columns()["person"])[-1]
    if fault.kind == "short":  # of a file that ends within the range
        whole = payload(published, file.sha256).read_bytes()
        end = file.footer.offset + 8 if part == "footer" else last.end - 1
        fault = Fault("replace", data=whole[:end])
    if part == "column":
        pe_data.open(URI, "age", area="AK-01")  # the footer is in the cache then
    offset = file.footer.offset if part == "footer" else r"\d+"
    with WebServer(published, faults={payload_key("us", file.sha256, "parquet"): fault}) as server:
        monkeypatch.setenv("PE_DATA_STORE", server.url)
        monkeypatch.setattr("pe_data.read.spans.time.sleep", lambda seconds: None)
        with pytest.raises(PeDataError, match=said.format(part=part, offset=offset)) as caught:
            pe_data.open(URI, last.column, area="NC-12")
        assert "\n" not in str(caught.value)
        assert server.gets[payload_key("us", file.sha256, "parquet")]


def test_the_footer_of_another_file(run: Run, damaged: Path) -> None:
    """A footer that was right for another build's file, at the same place: the digest tells."""
    file = index_of(run).head.files["person"]
    other = index_of(run).head.files["household"]
    household = payload(damaged, other.sha256).read_bytes()[other.footer.offset :]
    path = payload(damaged, file.sha256)
    path.chmod(0o644)
    with path.open("r+b") as target:
        target.seek(file.footer.offset)
        target.write(household[: file.footer.size_bytes].ljust(file.footer.size_bytes, b"\0"))
    with pytest.raises(DigestMismatchError, match="person@latest: footer: expected sha256"):
        pe_data.open(URI, "age", area="NC-01")
    assert not Cache(damaged.parent / "cache").path(file.footer.sha256, "footer").exists()


def test_a_footer_that_was_changed_in_the_cache_is_read_again(run: Run, tmp_path: Path) -> None:
    expected = pe_data.open(URI, "age", area="NC-01")["person"]
    cache = Cache(tmp_path / "cache")
    path = cache.path(index_of(run).head.files["person"].footer.sha256, "footer")
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-9] + b"x" + data[-8:])
    pd.testing.assert_frame_equal(pe_data.open(URI, "age", area="NC-01")["person"], expected)
    assert path.read_bytes() == data


def test_a_footer_in_the_cache_is_an_entry_like_others(run: Run, tmp_path: Path) -> None:
    pe_data.open(URI, "age", area="NC-01")
    cache = Cache(tmp_path / "cache")
    assert "footer" in {entry.suffix for entry in cache.entries()}
    assert all(one.right for one in verify_cache(cache))
    prune(cache, 0)
    assert {entry.suffix for entry in cache.entries()} == {"collection.json"}


def republished(run: Run, tmp_path: Path, change: Callable[[Path], None]) -> str:
    """A store whose publisher changed the split files before they were published."""
    other = copy_of(run, tmp_path / "other")
    change(other.settings.results / SPLIT)
    publish(other, FolderStore(tmp_path / "changed"))
    return str(tmp_path / "changed")


def test_an_index_of_another_build(run: Run, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / "person.parquet")
        pq.write_table(table, folder / "person.parquet")

    store = republished(run, tmp_path, change)
    with pytest.raises(DigestMismatchError, match=r"person@latest: index: expected the file sha256 .* mixed"):
        pe_data.open(URI, "age", area="NC-01", store=store)
    pe_data.open(URI, "household_weight", area="NC-01", store=store)  # that file is the index's


def changed_index(change: Callable[[dict[str, list[Any]]], None]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        table = pq.read_table(folder / "index.parquet")
        columns = table.to_pydict()
        change(columns)
        schema = SCHEMA.with_metadata(table.schema.metadata)
        pq.write_table(pa.table(columns, schema=schema), folder / "index.parquet")

    return rewrite


def row_of(columns: dict[str, list[Any]], column: str, group: int = 3) -> int:
    return next(
        n
        for n, key in enumerate(zip(columns["entity"], columns["row_group"], columns["column"], strict=True))
        if key == ("person", group, column)
    )


def swap(columns: dict[str, list[Any]]) -> None:
    """The index gives two columns of a row group each other's range, with the right digests."""
    one, two = row_of(columns, "age"), row_of(columns, "employment_income")
    for name in ("offset", "size_bytes", "sha256"):
        columns[name][one], columns[name][two] = columns[name][two], columns[name][one]


def drop(columns: dict[str, list[Any]]) -> None:
    row = row_of(columns, "age")
    for values in columns.values():
        del values[row]


@pytest.mark.parametrize("change", [swap, drop])
def test_an_index_that_is_not_the_footers(run: Run, tmp_path: Path, change: Any) -> None:
    store = republished(run, tmp_path, changed_index(change))
    with pytest.raises(
        InvalidDocumentError, match=r"row group 3, column age: expected \d+ bytes .*, found .* in the index"
    ):
        pe_data.open(URI, "age", area="NC-01", store=store)


def beyond(columns: dict[str, list[Any]]) -> None:
    columns["offset"][row_of(columns, "age")] = 1 << 40


def below(columns: dict[str, list[Any]]) -> None:
    columns["offset"][row_of(columns, "age")] = -5


def twice(columns: dict[str, list[Any]]) -> None:
    row = row_of(columns, "age")
    for values in columns.values():
        values.append(values[row])


def of_two_areas(columns: dict[str, list[Any]]) -> None:
    columns["area"][row_of(columns, "age")] = "NC-13"


def of_nobody(columns: dict[str, list[Any]]) -> None:
    columns["entity"][row_of(columns, "age")] = "ghost"


@pytest.mark.parametrize("change", [beyond, below, twice, of_two_areas, of_nobody])
def test_an_index_that_cannot_be(run: Run, tmp_path: Path, change: Any) -> None:
    store = republished(run, tmp_path, changed_index(change))
    with pytest.raises(InvalidDocumentError, match="US/index@latest: "):
        pe_data.open(URI, "age", area="NC-01", store=store)


def test_a_file_that_is_no_index(run: Run, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        shutil.copy(folder / "person.parquet", folder / "index.parquet")

    store = republished(run, tmp_path, change)
    with pytest.raises(InvalidDocumentError, match="index of ranges"):
        pe_data.open(URI, "age", area="NC-01", store=store)


def test_a_newer_index_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        table = pq.read_table(folder / "index.parquet")
        head = table.schema.metadata[HEAD_KEY].replace(b'"schema_version":1', b'"schema_version":2')
        pq.write_table(
            table.replace_schema_metadata({**table.schema.metadata, HEAD_KEY: head}), folder / "index.parquet"
        )

    store = republished(run, tmp_path, change)
    with pytest.raises(InvalidDocumentError, match=r"schema_version: expected 1 .*upgrade"):
        pe_data.open(URI, "age", area="NC-01", store=store)


def test_ranges_of_a_revoked_nation_are_revoked(run: Run, damaged: Path) -> None:
    FolderStore(damaged).put_create(tombstone_key("us", sha256_file(run.path("US"))), b"{}")
    with pytest.raises(RevokedError):
        pe_data.open(URI, "age", area="NC-01")


# --- what is asked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("area", "said"),
    [
        ("NC-02", r"'NC-02'\. Did you mean NC-12"),
        ("nc-01", r"'nc-01'\. Did you mean NC-01"),
        (["NC-01", "XX"], r"found 'XX'"),
        ([], "one or more areas, found none"),
        ("household", r"found 'household'"),
    ],
)
def test_an_unknown_area(area: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"area: expected .*{said}") as caught:
        pe_data.open(URI, "age", area=area)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable() -> None:
    with pytest.raises(PeDataError, match=r"variables: .* found 'agee'\. Did you mean age"):
        pe_data.open(URI, ["agee"], area="NC-01")


def test_another_year() -> None:
    with pytest.raises(InputError, match=r"year: expected one of 2024, found 2026"):
        pe_data.open(URI, "age", year=2026, area="NC-01")


def test_gated_data_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match="area: expected public data, found gated data") as caught:
        pe_data.open("pe-data://uk/areas@latest", "age", area="E14000001")
    assert "\n" not in str(caught.value)


def test_a_single_file_has_no_areas(run: Run) -> None:
    with pytest.raises(InputError, match="area: expected the address of a collection"):
        pe_data.open(run.path("US"), "age", area="NC-01")
    with pytest.raises(PeDataError, match="national/UX"):
        pe_data.open("pe-data://us/local_areas/national/UX@latest", "age", area="NC-01")


# --- writing --------------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_files_give_equal_bytes(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "again")
    folder = other.settings.results / SPLIT
    first = contents(folder)
    assert set(first) == {*(f"{entity}.parquet" for entity in ENTITIES), "index.parquet"}
    shutil.rmtree(folder)
    split(other.settings.results)
    assert contents(folder) == first


def test_a_nation_that_is_not_its_sidecars_is_refused(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "again")
    with h5py.File(other.path("US"), "r+") as file:
        file["age/2024"][0] = 3
    with pytest.raises(ResultError, match=r"expected sha256 .* Build it again"):
        split(other.settings.results)


def test_a_district_of_another_state_is_refused(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "again")
    other.edit("US", "state_fips", lambda values: np.where(values == 37, 6, values).astype(values.dtype))
    with pytest.raises(ResultError, match="expected a district of its state"):
        split(other.settings.results)


def test_what_a_killed_writer_leaves_has_a_name_that_the_next_run_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, splits = pa.table({"a": [1, 2]}), [Split("NC", "NC-01", {"a": (0, 2)})]
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: None)
    monkeypatch.setattr("pathlib.Path.unlink", lambda self, missing_ok=False: None)
    write_by_area(tmp_path, {"a": lambda: table}, splits, years=(2024,), source=Sha256("ab" * 32))
    monkeypatch.undo()
    left = list(tmp_path.iterdir())
    assert len(left) == 2
    assert set(tmp_path.rglob(".*.tmp")) == set(left)


def test_without_an_index_nothing_is_finished(run: Run, tmp_path: Path) -> None:
    """A writer that is stopped between two files leaves no index, no temporary file, and begins anew."""
    folder, table = tmp_path / "split", pa.table({"a": [1, 2]})
    splits, source = [Split("NC", "NC-01", {"a": (0, 2), "b": (0, 2)})], Sha256("ab" * 32)
    write_by_area(folder, {"a": lambda: table, "b": lambda: table}, splits, years=(2024,), source=source)
    assert source_of(folder / "index.parquet") == source

    def stop() -> pa.Table:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_by_area(folder, {"a": lambda: table, "b": stop}, splits, years=(2024,), source=source)
    assert {path.name for path in folder.iterdir()} == {"a.parquet", "b.parquet"}


@pytest.mark.parametrize("rows", [[(0, 1)], [(0, 3)], [(1, 2)], [(0, 2), (1, 2)]])
def test_rows_of_no_area_are_refused(tmp_path: Path, rows: list[tuple[int, int]]) -> None:
    splits = [Split("NC", f"NC-0{n}", {"a": both}) for n, both in enumerate(rows)]
    with pytest.raises(InputError, match="a: "):
        write_by_area(tmp_path, {"a": lambda: pa.table({"x": [1, 2]})}, splits, years=(2024,), source=Sha256("ab" * 32))


def test_the_files_describe_themselves(run: Run) -> None:
    folder = run.settings.results / SPLIT
    for entity in ENTITIES:
        manifest = describe(folder / f"{entity}.parquet", Label("us", "local_areas"))
        assert set(manifest.entities) == {entity}
        assert manifest.time_period == (2024,)
    assert set(describe(folder / "index.parquet", Label("us", "local_areas")).entities) == {"range"}
