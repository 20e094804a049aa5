"""What can go wrong when a file is written: nothing is left under its name, and no temporary file."""

import contextlib
import inspect
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import pytest
from msgspec import structs
from plain_model import snapshot_without_model
from sentence import parts_of
from tiny_world import World

import local_h5
from local_h5 import facade
from local_h5.build.area import build_area
from local_h5.build.payload import PayloadColumn
from local_h5.build.writer import write_h5
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.errors import InputError, LocalH5Error, RequestError, WriteError
from local_h5.files.arrays import write_arrays
from local_h5.inputs.geography.blocks import UnknownBlocksWarning
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.snapshot import SourceColumn
from local_h5.requests import AreaBuildRequest, output_path
from local_h5.takeup.programmes import load_programmes
from local_h5.takeup.rates import StateRates
from local_h5.validation.targets.values import Values


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(facade, "prepare_snapshot", snapshot_without_model)
    return World(tmp_path)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond ``size`` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_nothing_is_kept_between_calls_but_by_a_builder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Source, blocks and take-up are prepared again wherever their contents are others, and never for other reasons."""
    made: list[str] = []
    for name in ("prepare_snapshot", "build_block_table", "takeup_from_snapshot"):
        original = getattr(facade, name)

        def counted(*args: object, _name: str = name, _original: Any = original, **kwargs: object) -> object:
            made.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(facade, name, counted)
    arguments = world.write()
    for _ in range(2):
        local_h5.build_h5(**arguments)
    assert sorted(made) == sorted(2 * ["build_block_table", "prepare_snapshot", "takeup_from_snapshot"])

    builder, other = local_h5.H5Builder(), local_h5.H5Builder()
    made.clear()
    for district in (["3701"], None, ["634"]):
        builder.build_h5(**arguments, cd_subset=district)
    assert sorted(made) == ["build_block_table", "prepare_snapshot", "takeup_from_snapshot"]
    other.build_h5(**arguments)
    assert len(made) == 6

    made.clear()
    builder.build_h5(**arguments, reported="ignore")
    assert made == ["takeup_from_snapshot"]
    made.clear()
    table = Path(arguments["block_tables"]) / "msa_definitions.csv"
    before = table.stat()
    content = table.read_bytes()
    table.write_bytes(content.replace(b"0", b"1", 1))  # as many bytes, at the same time: contents decide
    assert len(content) == table.stat().st_size
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    with contextlib.suppress(LocalH5Error):
        builder.build_h5(**arguments, reported="ignore")
    assert made == ["build_block_table"]


def test_a_builder_asks_for_what_build_h5_asks_for() -> None:
    plain = inspect.signature(local_h5.build_h5)
    built = inspect.signature(local_h5.H5Builder.build_h5)
    assert list(built.parameters.values())[1:] == list(plain.parameters.values())
    assert built.return_annotation == plain.return_annotation


def test_a_warning_names_the_line_of_the_caller(world: World) -> None:
    blocks = world.geography.block_geoid
    world.geography.block_geoid = np.where(blocks == blocks[0], blocks[0][:-4] + "9999", blocks)
    arguments = world.write()
    for build_h5 in (local_h5.build_h5, local_h5.H5Builder().build_h5):
        with pytest.warns(UnknownBlocksWarning) as caught:
            build_h5(**arguments)
        assert {item.filename for item in caught} == {__file__}


def is_one_line(error: LocalH5Error) -> bool:
    parts = parts_of(error)
    return "\n" not in str(error) and all((parts.where, parts.expected, parts.found, parts.remedy))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_full_disk_leaves_nothing(world: World, share: float, compression: str) -> None:
    arguments = world.write() | {"compression": compression}
    local_h5.build_h5(**arguments)
    size = world.output.stat().st_size
    world.output.unlink()
    sidecar_path(world.output).unlink()
    with files_no_larger_than(int(size * share)), pytest.raises(WriteError) as caught:
        local_h5.build_h5(**arguments)
    assert is_one_line(caught.value)
    assert list(world.output.parent.iterdir()) == []
    local_h5.build_h5(**arguments)
    assert world.output.stat().st_size == size


def test_a_full_disk_keeps_the_file_that_was_there(world: World) -> None:
    arguments = world.write()
    local_h5.build_h5(**arguments)
    before = {path.name: path.read_bytes() for path in world.output.parent.iterdir()}
    with files_no_larger_than(1000), pytest.raises(WriteError):
        local_h5.build_h5(**arguments)
    assert {path.name: path.read_bytes() for path in world.output.parent.iterdir()} == before


def test_no_file_without_its_sidecar(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise WriteError("sidecar: expected space, found none. Free some.")

    monkeypatch.setattr(facade, "write_sidecar", full)
    with pytest.raises(WriteError):
        local_h5.build_h5(**world.write())
    assert list(world.output.parent.iterdir()) == []


@pytest.mark.parametrize("path", ["../x.h5", "/tmp/x.h5", "districts/../../x.h5", "out/x.h5"])
def test_paths_stay_inside_the_output_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "out").symlink_to(tmp_path)
    with pytest.raises(RequestError) as caught:
        output_path(tmp_path / "results", PurePosixPath(path))
    assert is_one_line(caught.value)


@pytest.mark.parametrize("area_id", ["../NC-01", "a/b", "", ".", "..", "NC 01", "x" * 65, "NC-01\n"])
def test_area_ids_are_file_names(area_id: str) -> None:
    with pytest.raises(RequestError) as caught:
        AreaBuildRequest("district", area_id, "x")
    assert is_one_line(caught.value)


def column(name: str, period: str) -> PayloadColumn:
    return PayloadColumn(name, period, "household", lambda: np.arange(3))


@pytest.mark.parametrize("period", ["2024-01", "ETERNITY", "2023"])
def test_the_first_group_must_hold_the_year(tmp_path: Path, period: str) -> None:
    columns = [column("aaa", period), column("household_id", "2024"), column("person_id", "2024")]
    with pytest.raises(WriteError, match=period) as caught:
        write_h5(tmp_path / "out" / "x.h5", columns, year=2024)
    assert is_one_line(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_first_group_by_month_is_refused_for_a_whole_area(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that the model moves to months would become the file's first group."""

    def monthly_first(*arguments: object) -> object:
        snapshot = snapshot_without_model(*arguments)  # type: ignore[arg-type]
        months = [structs.replace(c, variable="aaa") for c in snapshot.columns if c.period != "2024"]
        assert all(isinstance(month, SourceColumn) for month in months)
        return structs.replace(snapshot, columns=(*months, *snapshot.columns))

    monkeypatch.setattr(facade, "prepare_snapshot", monthly_first)
    with pytest.raises(WriteError, match="aaa"):
        local_h5.build_h5(**world.write())
    assert list(world.output.parent.iterdir()) == []


def test_a_state_without_a_rate_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = next(p for p in load_programmes() if isinstance(p.rate, StateRates))
    by_fips = rates.rate.by_fips.copy()  # type: ignore[union-attr]
    by_fips[11] = np.nan
    lacking = tuple(
        replace(p, rate=StateRates(by_fips)) if p.variable == rates.variable else p for p in load_programmes()
    )
    monkeypatch.setattr(facade, "load_programmes", lambda: lacking)
    with pytest.raises(InputError, match="none for DC") as caught:
        local_h5.build_h5(**world.write())
    assert is_one_line(caught.value)
    assert not world.output.exists()


def test_every_file_of_a_run_has_the_same_groups_and_widths(world: World) -> None:
    """Los Angeles has a ZIP code, DC no crosswalk: neither shows in the form of a file."""
    arguments = world.write()
    forms = set()
    for district in ("634", "1198", "200"):
        with h5py.File(local_h5.build_h5(**arguments, cd_subset=[district])) as file:
            forms.add(tuple((name, period, file[name][period].dtype.str) for name in file for period in file[name]))
    assert len(forms) == 1


def test_what_is_empty_is_counted(world: World) -> None:
    """Empty because DC is in no crosswalk, because no table knows the block, or because most blocks are in no place."""
    rows = np.flatnonzero(world.geography.block_geoid == "371190001001000")
    world.geography.block_geoid[rows] = "371199999991000"
    with pytest.warns(UserWarning, match="371199999991000"):
        local_h5.build_h5(**world.write())
    result = read_sidecar(sidecar_path(world.output))
    share = {
        block: float(world.weights[world.geography.block_geoid == block].sum() / world.weights.sum())
        for block in set(world.geography.block_geoid.tolist())
    }
    dc, unknown = share["110010001011000"], share["371199999991000"]
    assert result.coverage["puma"] == pytest.approx(1 - dc - unknown, abs=1e-6)
    assert result.coverage["cbsa_code"] == pytest.approx(1 - share["020130001001000"], abs=1e-6)
    assert result.coverage["place_fips"] == pytest.approx(share["370010201001000"] + share["060372011101000"], abs=1e-6)
    assert result.checks["clones_in_unknown_blocks"] == len(rows)
    with h5py.File(world.output) as file:
        placed = np.isin(file["block_geoid/2024"][()], [b"371199999991000"])
        assert set(file["county_fips/2024"][()][placed]) == {b"37119"}
        assert set(file["cbsa_code/2024"][()][placed]) == {b"16740"}
        assert set(file["tract_geoid/2024"][()][placed]) == {b"37119999999"}
        for name in ("sldu", "sldl", "place_fips", "vtd", "puma", "zcta"):
            assert set(file[name]["2024"][()][placed]) == {b""}


def test_a_county_that_the_model_lacks_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*arguments: object) -> object:
        snapshot = snapshot_without_model(*arguments)  # type: ignore[arg-type]
        known = snapshot.county_fips != 37119
        return structs.replace(
            snapshot, county_fips=snapshot.county_fips[known], county_name=snapshot.county_name[known]
        )

    monkeypatch.setattr(facade, "prepare_snapshot", lacking)
    local_h5.build_h5(**world.write())
    there = world.geography.county_fips == "37119"
    share = float(world.weights[there].sum() / world.weights.sum())
    assert read_sidecar(sidecar_path(world.output)).coverage["county"] == pytest.approx(1 - share, abs=1e-6)
    with h5py.File(world.output) as file:
        names, fips = file["county/2024"][()], file["county_fips/2024"][()]
    assert (names == b"UNKNOWN").tolist() == (fips == b"37119").tolist()
    assert set(names[fips == b"06037"]) == {b"COUNTY_06037"}


def test_programmes_outside_the_filter_are_true(world: World) -> None:
    chosen = ["takes_up_snap_if_eligible", "takes_up_ssi_if_eligible"]
    world.weights = np.ones(len(world.weights))
    arguments = world.write()
    everything, filtered = (
        h5py.File(local_h5.build_h5(**arguments | {"output_path": world.folder / f"{names}.h5"}, takeup_filter=names))
        for names in (None, chosen)
    )
    with everything, filtered:
        for programme in load_programmes():
            values = filtered[programme.variable]["2024"][()]
            drawn = everything[programme.variable]["2024"][()]
            assert values.tolist() == (drawn if programme.variable in chosen else np.ones_like(drawn)).tolist()
            assert not drawn.all()


def test_nothing_is_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert local_h5.build_h5(**world.write()).is_file()


def test_inputs_are_untouched_and_the_result_is_on_disk(world: World) -> None:
    arguments = world.write()
    before = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    assert local_h5.build_h5(**arguments) == world.output
    after = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    assert set(after) - set(before) == {world.output, sidecar_path(world.output)}


def test_build_area_needs_no_sidecar_to_clean_up(world: World) -> None:
    """The workflow's own entry point, below the facade, cleans up too."""
    captured: list[PreparedInputs] = []
    original = facade.build_area

    def capture(request: AreaBuildRequest, inputs: PreparedInputs, *rest: object, **options: object) -> object:
        captured.append(inputs)
        return original(request, inputs, *rest, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facade, "build_area", capture)
        local_h5.build_h5(**world.write())
    folder = world.folder / "elsewhere"
    with files_no_larger_than(2000), pytest.raises(WriteError) as caught:
        build_area(AreaBuildRequest("national", "US", "Nation"), captured[0], folder)
    assert is_one_line(caught.value)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_prepared_files_are_whole_or_absent(tmp_path: Path, share: float) -> None:
    values = Values("key", np.arange(5_000), {"a": ("person", np.array([b"x", b"yy"]))})

    def write() -> None:
        write_arrays(tmp_path / "x.h5", values)

    write()
    size = (tmp_path / "x.h5").stat().st_size
    (tmp_path / "x.h5").unlink()
    with files_no_larger_than(int(size * share)), pytest.raises(WriteError) as caught:
        write()
    assert is_one_line(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_writing_is_not_hidden(tmp_path: Path) -> None:
    """What goes wrong in the program itself comes out as it is, and leaves nothing either."""

    def broken() -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_h5(tmp_path / "x.h5", [PayloadColumn("a", "2024", "household", broken)], year=2024)
    assert list(tmp_path.iterdir()) == []
