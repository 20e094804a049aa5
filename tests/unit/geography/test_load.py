"""The three forms of one assignment, and everything that can be wrong with each."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sentence import parts_of

import foreign_pickle
from local_h5.errors import InputError
from local_h5.inputs.chunks import CHUNK
from local_h5.inputs.geography import Geography
from local_h5.inputs.geography.load import geography_form, load_geography, load_package
from local_h5.inputs.geography.tables import read_block_districts

from .conftest import BLOCKS, CANONICAL_DISTRICTS, CLONES, DISTRICTS, HOUSEHOLDS, Made, package

PLAIN = np.array(BLOCKS)


def all_forms(made: Made) -> dict[str, Geography]:
    table = made.block_districts()
    paths = {
        "npz, object blocks": made.npz("a.npz"),
        "npz, plain": made.npz("b.npz", block_geoid=PLAIN),
        "npz, bytes and integers": made.npz("c.npz", block_geoid=PLAIN.astype("S15"), state_fips=PLAIN.astype("U2")),
        "npz, objects throughout": made.npz("d.npz", cd_geoid=np.array(DISTRICTS, dtype=object)),
        "npz, integers": made.npz("e.npz", block_geoid=PLAIN.astype(np.int64), cd_geoid=np.array(DISTRICTS, int)),
        "blocks, plain": made.blocks(PLAIN),
    }
    forms = {name: load_geography(path, HOUSEHOLDS, table) for name, path in paths.items()}
    forms["blocks, objects"] = load_geography(made.blocks(np.array(BLOCKS, dtype=object)), HOUSEHOLDS, table)
    for protocol in range(6):
        forms[f"package, protocol {protocol}"] = load_geography(made.package(protocol), HOUSEHOLDS)
    forms["package, lists"] = load_geography(made.package(block_geoid=BLOCKS, cd_geoid=DISTRICTS), HOUSEHOLDS)
    return forms


def test_all_forms_give_one_geography_and_one_digest(made: Made) -> None:
    forms = all_forms(made)
    for name, geography in forms.items():
        assert geography.block.tolist() == [int(block) for block in BLOCKS], name
        assert geography.district.tolist() == CANONICAL_DISTRICTS, name
        assert (geography.n_households, geography.n_clones) == (HOUSEHOLDS, CLONES), name
    assert len({geography.digest() for geography in forms.values()}) == 1


def test_the_form_is_told_from_content_not_name(made: Made) -> None:
    for source, form in ((made.npz(), "npz"), (made.package(), "package"), (made.blocks(), "blocks")):
        renamed = source.rename(source.with_name("geography.bin"))
        assert geography_form(renamed) == form
        assert len(load_geography(renamed, HOUSEHOLDS, made.block_districts())) == 6


def test_files_larger_than_a_chunk_are_read_whole(made: Made) -> None:
    rows = CHUNK + 10
    plain = np.resize(PLAIN, rows)
    fields = {
        "cd_geoid": np.resize(np.array(DISTRICTS), rows),
        "county_fips": plain.astype("U5"),
        "state_fips": plain.astype("U2"),
        "n_records": rows,
        "n_clones": 1,
    }
    one = load_geography(made.npz("a.npz", block_geoid=plain, **fields), rows)
    two = load_geography(made.npz("b.npz", block_geoid=plain.astype(object), **fields), rows)
    assert one == two
    assert one.block.tolist() == [int(block) for block in plain]


def test_the_legacy_form_takes_a_table_that_was_read_before(made: Made) -> None:
    table = read_block_districts(made.block_districts())
    assert load_geography(made.blocks(), HOUSEHOLDS, table).district.tolist() == CANONICAL_DISTRICTS


def test_empty_blocks_are_kept(made: Made) -> None:
    blocks = np.array(["", *BLOCKS[1:]])
    county, state = blocks.astype("U5"), blocks.astype("U2")
    path = made.npz(block_geoid=blocks, county_fips=county, state_fips=state)
    assert load_geography(path, HOUSEHOLDS).block[0] == 0
    assert load_geography(made.blocks(blocks), HOUSEHOLDS, made.block_districts()).district[0] == 0


def changed(index: int, value: Any, values: list[Any] = BLOCKS) -> np.ndarray[Any, Any]:
    return np.array([value if row == index else item for row, item in enumerate(values)], dtype=object)


def truncated(path: Path, keep: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def rewritten(made: Made, field: str, data: bytes) -> Path:
    """The geography with one member of the ``.npz`` replaced by other bytes."""
    path = made.npz()
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members[f"{field}.npy"] = data
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            new.writestr(name, content)
    return path


def header(descr: str, shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


NPZ_ERRORS: dict[str, tuple[Callable[[Made], Path], str | None, str]] = {
    "missing file": (lambda m: m.folder / "absent.npz", None, "No such file or directory"),
    "empty file": (lambda m: m.file("g.npz", b""), None, "an empty file"),
    "garbage file": (lambda m: m.file("g.npz", b"garbage" * 9), None, "begins with b'garbag'"),
    "truncated file": (lambda m: truncated(m.npz(), 0.5), None, "File is not a zip file"),
    "no block field": (lambda m: m.npz(drop=("block_geoid",)), "block_geoid", "no such field"),
    "no district field": (lambda m: m.npz(drop=("cd_geoid",)), "cd_geoid", "no such field"),
    "no county field": (lambda m: m.npz(drop=("county_fips",)), "county_fips", "no such field"),
    "no state field": (lambda m: m.npz(drop=("state_fips",)), "state_fips", "no such field"),
    "no sizes": (lambda m: m.npz(drop=("n_records", "n_clones")), "n_records, n_clones", "no such fields"),
    "other source": (lambda m: m.npz(n_records=np.array([2]), n_clones=np.array([3])), "n_records", "2"),
    "short everywhere": (lambda m: m.npz(n_clones=np.array([3])), "block_geoid", "6"),
    "short field": (lambda m: m.npz(cd_geoid=np.array(DISTRICTS[:-1])), "cd_geoid", "5"),
    "long field": (lambda m: m.npz(county_fips=np.array(["37001"] * 7)), "county_fips", "7"),
    "empty field": (lambda m: m.npz(block_geoid=np.array([], dtype="U15")), "block_geoid", "none: it is empty"),
    "2-D field": (lambda m: m.npz(block_geoid=PLAIN.reshape(2, 3)), "block_geoid", "shape (2, 3)"),
    "misaligned field": (lambda m: m.npz(cd_geoid=np.roll(DISTRICTS, 1)), "cd_geoid", "5 of 6 rows"),
    "misaligned county": (lambda m: m.npz(county_fips=np.roll(PLAIN.astype("U5"), 1)), "county_fips", "rows"),
    "short block": (lambda m: m.npz(block_geoid=changed(2, "12345")), "block_geoid", "'12345' in row 2"),
    "garbage block": (lambda m: m.npz(block_geoid=changed(2, "?")), "block_geoid", "'?' in row 2"),
    "float block": (lambda m: m.npz(block_geoid=np.ones(6)), "block_geoid", "dtype <f8"),
    "no object array of codes": (lambda m: m.npz(block_geoid=changed(1, ["x"])), "block_geoid", "['x'] in row 1"),
    "block beyond every state": (lambda m: m.npz(block_geoid=changed(0, "9" * 15)), "block_geoid", "'999999999999999'"),
    "block against district": (
        lambda m: m.npz(block_geoid=changed(0, "060010201001000")),
        "cd_geoid",
        "block 060010201001000 with 3701 in row 0",
    ),
    "block against county": (
        lambda m: m.npz(block_geoid=changed(0, "370370201001000")),
        "county_fips",
        "block 370370201001000 with 37001 in row 0",
    ),
    "block against state": (
        lambda m: m.npz(state_fips=changed(0, 6, [int(b[:2]) for b in BLOCKS])),
        "state_fips",
        "block 370010201001000 with 6 in row 0",
    ),
    "member that is no array": (lambda m: rewritten(m, "cd_geoid", b"text"), "cd_geoid", "magic string"),
    "member cut off": (
        lambda m: rewritten(m, "cd_geoid", header("<U4", (6,)) + b"\0" * 90),
        "cd_geoid",
        "96 bytes of <U4, and 90 bytes of data",
    ),
    "absurd shape": (
        lambda m: rewritten(m, "block_geoid", header("<U15", (2**50,))),
        "block_geoid",
        "0 bytes of data",
    ),
    "absurd shape of objects": (
        lambda m: rewritten(m, "block_geoid", header("|O", (2**50,)) + pickle.dumps(PLAIN.astype(object))),
        "block_geoid",
        "1,125,899,906,842,624",
    ),
    "objects that are no array": (
        lambda m: rewritten(m, "block_geoid", header("|O", (6,)) + pickle.dumps(BLOCKS)),
        "block_geoid",
        "a pickled list that does not have the shape (6,)",
    ),
    "objects far larger than codes": (
        lambda m: rewritten(m, "block_geoid", header("|O", (6,)) + b"\0" * 10_000_000),
        "block_geoid",
        "6 objects, and 10,000,000 bytes of data",
    ),
    "text of no width": (lambda m: rewritten(m, "cd_geoid", header("<U0", (6,))), "cd_geoid", "itemsize"),
    "another version of the format": (
        lambda m: rewritten(m, "cd_geoid", b"\x93NUMPY\x03\x00" + header("<U4", (6,))[8:]),
        "cd_geoid",
        "unsupported format version (3, 0)",
    ),
    "sizes as objects": (lambda m: m.npz(n_records=np.array([HOUSEHOLDS], object)), "n_records", "array([3]"),
    "absurd number of clones": (lambda m: m.npz(n_clones=np.array([10**12])), "n_clones", "1,000,000,000,000"),
    "huge size field": (lambda m: m.npz(n_clones=np.zeros(10**6, int)), "n_clones", "shape (1000000,)"),
    "fields in records": (lambda m: m.npz(cd_geoid=np.zeros(6, dtype=[("a", "i8")])), "cd_geoid", "dtype"),
}


@pytest.mark.parametrize("case", NPZ_ERRORS)
def test_bad_npz_files_are_refused(made: Made, case: str, one_line: Any) -> None:
    make, field, found = NPZ_ERRORS[case]
    path = make(made)
    with pytest.raises(InputError) as caught:
        load_geography(path, HOUSEHOLDS)
    assert parts_of(caught.value).field == field
    assert found in parts_of(caught.value).found
    assert one_line(caught.value, path, field)


@pytest.mark.parametrize("blocks", [PLAIN, PLAIN.astype(object)], ids=["text", "objects"])
def test_corrupt_compressed_bytes_are_refused(made: Made, blocks: np.ndarray[Any, Any]) -> None:
    path = made.npz(block_geoid=blocks)
    data = bytearray(path.read_bytes())
    start = data.index(b"block_geoid.npy") + 60
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(InputError, match="block_geoid: expected a complete"):
        load_geography(path, HOUSEHOLDS)


PACKAGE_ERRORS: dict[str, tuple[Callable[[Made], Path], str | None, str]] = {
    "no dict": (lambda m: m.pickle([1, 2]), None, "a list"),
    "no blocks": (lambda m: m.package(drop=("block_geoid",)), "block_geoid", "no such field"),
    "no districts": (lambda m: m.package(drop=("cd_geoid",)), "cd_geoid", "no such field"),
    "blocks are None": (lambda m: m.package(block_geoid=None), "block_geoid", "shape ()"),
    "empty": (lambda m: m.package(block_geoid=np.array([], "U15")), "block_geoid", "0 rows"),
    "not divisible": (lambda m: m.package(block_geoid=PLAIN[:5]), "block_geoid", "5 rows"),
    "short districts": (lambda m: m.package(cd_geoid=np.array(DISTRICTS[:3])), "cd_geoid", "3"),
    "contradiction": (lambda m: m.package(cd_geoid=np.array(["3701"] * 6)), "cd_geoid", "3 of 6 rows"),
    "other weights": (lambda m: m.package(initial_weights=np.ones(5)), "initial_weights", "5"),
    "other matrix": (lambda m: m.package(X_sparse=scipy.sparse.csr_matrix((2, 9))), "X_sparse", "9"),
    "matrix is a list": (lambda m: m.package(X_sparse=[1]), "X_sparse", "list"),
    "truncated": (lambda m: truncated(m.package(), 0.7), None, "truncated"),
    "two bytes": (lambda m: m.file("p.pkl", b"\x80\x05"), None, "Ran out of input"),
    "unknown protocol": (lambda m: m.file("p.pkl", b"\x80\xff."), None, "unsupported pickle protocol: 255"),
}


@pytest.mark.parametrize("case", PACKAGE_ERRORS)
def test_bad_packages_are_refused(made: Made, case: str) -> None:
    make, field, found = PACKAGE_ERRORS[case]
    path = make(made)
    with pytest.raises(InputError) as caught:
        load_geography(path, HOUSEHOLDS)
    assert parts_of(caught.value).field == field
    assert found in parts_of(caught.value).found
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert parts_of(caught.value).remedy


LEGACY_ERRORS: dict[str, tuple[Any, str]] = {
    "not divisible": (PLAIN[:4], "4 rows"),
    "empty": (PLAIN[:0], "0 rows"),
    "2-D": (PLAIN.reshape(2, 3), "shape (2, 3)"),
    "unknown block": (changed(3, "370019999999999"), "1 of 6 rows with others, such as 370019999999999 in row 3"),
    "short block": (changed(3, "37001"), "'37001' in row 3"),
    "floats": (np.ones(6), "dtype <f8"),
}


@pytest.mark.parametrize("case", LEGACY_ERRORS)
def test_bad_block_files_are_refused(made: Made, case: str, one_line: Any) -> None:
    blocks, found = LEGACY_ERRORS[case]
    path = made.blocks(blocks)
    with pytest.raises(InputError) as caught:
        load_geography(path, HOUSEHOLDS, made.block_districts())
    assert found in parts_of(caught.value).found
    assert one_line(caught.value, path, "block_geoid")


def test_blocks_alone_need_the_block_table(made: Made) -> None:
    path = made.blocks()
    with pytest.raises(InputError, match=r"cd_geoid: expected districts, or a block to district table"):
        load_geography(path, HOUSEHOLDS)
    with pytest.raises(InputError, match=r"absent\.csv"):
        load_geography(path, HOUSEHOLDS, made.folder / "absent.csv")


def test_the_number_of_clones_is_checked_against_the_weights(made: Made) -> None:
    assert load_geography(made.npz(), HOUSEHOLDS, n_clones=CLONES).n_clones == CLONES
    with pytest.raises(InputError, match=r"n_clones: expected 4 clones, as the weights have, found 2"):
        load_geography(made.npz(), HOUSEHOLDS, n_clones=4)


def test_a_package_is_given_whole(made: Made) -> None:
    loaded = load_package(made.package())
    assert set(loaded) == {
        "X_sparse",
        "targets_df",
        "target_names",
        "metadata",
        "initial_weights",
        "cd_geoid",
        "block_geoid",
    }
    assert loaded["target_names"] == ["snap/3701", "medicaid/37"]
    assert loaded["metadata"] == {"dataset": "source.h5", "created": "2026-01-01", "options": {"seed": 42}}


@pytest.mark.parametrize("protocol", [4, 5])
def test_matrix_and_frame_of_a_package_are_read(made: Made, protocol: int) -> None:
    loaded, real = load_package(made.package(protocol)), package()
    weights = np.arange(6.0)
    matrix = foreign_pickle.read_sparse(loaded["X_sparse"], "X_sparse")
    np.testing.assert_allclose(matrix.times(weights), real["X_sparse"] @ weights)
    targets = foreign_pickle.read_frame(loaded["targets_df"], "targets_df")
    assert {name: values.tolist() for name, values in targets.items()} == {
        "variable": ["snap", "medicaid"],
        "geographic_id": ["3701", None],
        "value": [1.5, 2.5],
        "period": [2024, 2024],
        "geo_level": ["district", "state"],
    }


def test_a_package_of_pandas_2_and_numpy_1_is_read() -> None:
    path = Path(__file__).parents[1] / "foreign_pickle" / "data" / "package_pandas2.pkl"
    assert load_geography(path, 2).district.tolist() == [3701, 201, 3701, 1101]
