"""Reading the exact geography in any of its three forms.

The content decides the form: an ``.npz`` with blocks, districts, counties, states and sizes; the calibration package, a
pickled dict; or the legacy ``.npy`` of blocks alone, whose districts come from the block table. No code in these files
is run.
"""

from collections.abc import Container
from pathlib import Path
from typing import Literal
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

import foreign_pickle
from local_h5.errors import InputError
from local_h5.inputs import npy
from local_h5.inputs.chunks import chunks
from local_h5.inputs.geography import canonical, codes
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.tables import BlockDistricts, read_block_districts
from local_h5.inputs.pickles import pickle_errors

Form = Literal["npz", "package", "blocks"]

NPZ_FIELDS = {
    "block_geoid": codes.BLOCK,
    "cd_geoid": codes.DISTRICT,
    "county_fips": codes.COUNTY,
    "state_fips": codes.STATE,
}
SIZE_FIELDS = ("n_records", "n_clones")
PACKAGE_FIELDS = ("block_geoid", "cd_geoid")

_PICKLE_STARTS = (b"\x80", b"(", b"}", b"]", b"c")
"""First byte of a pickle: protocol 2 and later, or an opcode that protocols 0 and 1 begin with."""


_LOOKUP_ROWS = 1 << 20


def load_geography(
    path: Path,
    n_households: int,
    block_districts: BlockDistricts | Path | None = None,
    *,
    n_clones: int | None = None,
) -> Geography:
    """Read a geography and check it against itself and against the source.

    Args:
        path: the file, in any of the three forms.
        n_households: households of the source.
        block_districts: the block → district table or its file; needed for the legacy form only.
        n_clones: clones that the weights imply, checked when given.

    Raises:
        InputError: missing, damaged, another form, misaligned, or contradicting itself.
        InputError: a pickle in it asks for something that could run code.
        InputError: the block → district table is missing or malformed.
    """
    path = Path(path)
    match geography_form(path):
        case "npz":
            geography = _load_npz(path, n_households)
        case "package":
            geography = _load_package(path, n_households)
        case "blocks":
            geography = _load_blocks(path, n_households, block_districts)
    if n_clones is not None and geography.n_clones != n_clones:
        raise InputError(
            f"{path}: n_clones: expected {n_clones:,} clones, as the weights have, found {geography.n_clones:,}. "
            "Use weights and geography of the same calibration."
        )
    return geography


def check_head(path: Path, n_households: int, n_clones: int) -> None:
    """Check form, fields, sizes and types of a geography without reading its rows.

    A calibration package is one pickle, so only its form is checked.

    Args:
        path: the file, in any of the three forms.
        n_households: households of the source.
        n_clones: clones that the weights imply.

    Raises:
        InputError: missing, damaged, another form, or of another size.
    """
    path, where = Path(path), str(path)
    rows = canonical.check_rows(n_households, n_clones, where)
    match geography_form(path):
        case "npz":
            with npy.open_npz(path) as file:
                sizes = _sizes(file, where)
                wanted = (n_households, n_clones)
                if sizes != wanted:
                    raise InputError(
                        f"{where}: {', '.join(SIZE_FIELDS)}: expected {wanted}, the households of the source and "
                        f"the clones of the weights, found {sizes}. Use source, weights and geography of the same "
                        "calibration."
                    )
                for field in NPZ_FIELDS:
                    with npy.column_of(file, field) as column:
                        _check_column(column, rows, where, field)
        case "blocks":
            with npy.open_npy(path, "block_geoid") as column:
                _check_column(column, rows, where, "block_geoid")
        case "package":
            pass


def _sizes(file: ZipFile, where: str) -> tuple[int, ...]:
    """Households and clones, when all fields are there."""
    fields = [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]
    _check_fields(fields, (*NPZ_FIELDS, *SIZE_FIELDS), where)
    sizes = []
    for field in SIZE_FIELDS:
        with npy.column_of(file, field) as column:
            value = next(column.chunks()) if column.size == 1 else f"shape {column.shape} of {column.dtype}"
        sizes.append(canonical.read_size(value, where, field))
    return tuple(sizes)


def _check_column(column: npy.Column, rows: int, where: str, field: str) -> None:
    codes.check_form(column.shape, column.dtype, where, field)
    canonical.check_length(column.size, rows, where, field)


def geography_form(path: Path) -> Form:
    """Which of the three forms a file has, by its first bytes.

    Raises:
        InputError: missing, or none of them.
    """
    with npy.open_file(Path(path)) as stream:
        start = stream.read(len(npy.MAGIC))
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "npz"
    if start == npy.MAGIC:
        return "blocks"
    if start.startswith(_PICKLE_STARTS):
        return "package"
    raise InputError(
        f"{path}: expected a geography .npz, a calibration package .pkl or a .npy of blocks, found "
        f"{f'a file that begins with {start!r}' if start else 'an empty file'}. Give the file that calibration "
        "saved."
    )


def load_package(path: Path) -> dict[str, object]:
    """A calibration package, with placeholders where its sparse matrix and its data frame stand.

    Read those with :func:`foreign_pickle.read_sparse` and :func:`foreign_pickle.read_frame`.

    Raises:
        InputError: missing, damaged, no dict, or it asks for something that could run code.
    """
    with npy.open_file(Path(path)) as stream, pickle_errors():
        package = foreign_pickle.load(stream, str(path))
    if not isinstance(package, dict):
        raise InputError(
            f"{path}: expected a calibration package: a dict with block_geoid and cd_geoid, found a "
            f"{type(package).__name__}. Give the calibration_package.pkl that calibration saved."
        )
    return {str(key): value for key, value in package.items()}


def _load_npz(path: Path, n_households: int) -> Geography:
    where = str(path)
    with npy.open_npz(path) as file:
        n_records, n_clones = _sizes(file, where)
        if n_records != n_households:
            raise InputError(
                f"{where}: n_records: expected the {n_households:,} households of the source, found {n_records:,}"
                ". Use the geography that was made for this source."
            )
        rows = canonical.check_rows(n_records, n_clones, where)
        parsed: list[NDArray[np.integer]] = []
        for field, kind in NPZ_FIELDS.items():
            with npy.column_of(file, field) as column:
                _check_column(column, rows, where, field)
                parsed.append(codes.parse_codes(column.chunks(), rows, kind, where, field))
    return Geography.from_codes(*parsed, n_households=n_households, n_clones=n_clones, where=where)


def _load_package(path: Path, n_households: int) -> Geography:
    where = str(path)
    package = load_package(path)
    _check_fields(package, PACKAGE_FIELDS, where)
    block = codes.as_column(package["block_geoid"], where, "block_geoid")
    n_clones = _clones(block.size, n_households, where, "block_geoid")
    _check_package(package, block.size, where)
    return Geography.from_arrays(block, package["cd_geoid"], n_records=n_households, n_clones=n_clones, where=where)


def _check_package(package: dict[str, object], rows: int, where: str) -> None:
    """Refuse a package whose other parts are not about the household clones of its geography."""
    sizes: dict[str, int] = {}
    if package.get("X_sparse") is not None:
        with pickle_errors():
            matrix = foreign_pickle.read_sparse(package["X_sparse"], f"{where}: X_sparse")
        sizes["X_sparse"] = matrix.shape[1]
    if package.get("initial_weights") is not None:
        sizes["initial_weights"] = np.asarray(package["initial_weights"]).size
    for field, size in sizes.items():
        if size != rows:
            raise InputError(
                f"{where}: {field}: expected one column or entry for each of the {rows:,} household clones, found "
                f"{size:,}. The package is inconsistent; save it again with the calibration's own code."
            )


def _load_blocks(path: Path, n_households: int, block_districts: BlockDistricts | Path | None) -> Geography:
    where = str(path)
    if block_districts is None:
        raise InputError(
            f"{where}: cd_geoid: expected districts, or a block to district table to recover them from, found "
            "blocks alone. Configure the block to district table, or give the geography as .npz."
        )
    with npy.open_npy(path, "block_geoid") as column:
        codes.check_form(column.shape, column.dtype, where, "block_geoid")
        n_clones = _clones(column.size, n_households, where, "block_geoid")
        rows = canonical.check_rows(n_households, n_clones, where)
        block = codes.parse_codes(column.chunks(), rows, codes.BLOCK, where, "block_geoid").astype(np.int64, copy=False)
    if isinstance(block_districts, Path):
        block_districts = read_block_districts(block_districts)
    district = np.concatenate([block_districts.lookup(block[part]) for part in chunks(rows, _LOOKUP_ROWS)])
    lost = np.flatnonzero((district == 0) & (block != 0))
    if lost.size:
        examples = ", ".join(f"{block[row]:015d} in row {row}" for row in lost[:3])
        raise InputError(
            f"{where}: block_geoid: expected blocks that the block to district table knows, found {lost.size:,} "
            f"of {rows:,} rows with others, such as {examples}. Give the geography as .npz with its districts, or "
            "the table it was made from."
        )
    return Geography.from_codes(block, district, n_households=n_households, n_clones=n_clones, where=where)


def _check_fields(present: Container[str], needed: tuple[str, ...], where: str) -> None:
    missing = [field for field in needed if field not in present]
    if missing:
        raise InputError(
            f"{where}: {', '.join(missing)}: expected the fields {', '.join(needed)}, found "
            f"{'no such field' if len(missing) == 1 else 'no such fields'}. Give the file that calibration saved."
        )


def _clones(rows: int, n_households: int, where: str, field: str) -> int:
    if rows == 0 or rows % n_households:
        raise InputError(
            f"{where}: {field}: expected a positive multiple of the {n_households:,} households of the source, "
            f"found {rows:,} rows. Use the geography that was made for this source."
        )
    return rows // n_households
