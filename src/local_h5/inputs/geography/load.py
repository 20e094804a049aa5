"""Reading the exact geography in any of the three forms it comes in.

The form is told from the content: an ``.npz`` with blocks, districts, counties, states and sizes; the calibration
package, a pickled dict; or the legacy ``.npy`` of blocks alone, whose districts come from the block table. Nothing
in any of them is run.
"""

import os
from collections.abc import Container
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from foreign_pickle import frames, reader
from local_h5.errors import InputError
from local_h5.inputs.geography import canonical, codes, npy
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
    """Check what the head of a geography says, without reading its rows: form, fields, sizes, types.

    A calibration package is one pickle, which has no head: of it only the form is looked at.

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
            with npy.NpzFile(path) as file:
                _check_fields(file.fields, (*NPZ_FIELDS, *SIZE_FIELDS), where)
                sizes = tuple(canonical.read_size(file.scalar(field), where, field) for field in SIZE_FIELDS)
                wanted = (n_households, n_clones)
                if sizes != wanted:
                    raise InputError(
                        f"{where}: {', '.join(SIZE_FIELDS)}: expected {wanted}, the households of the source and "
                        f"the clones of the weights, found {sizes}. Use source, weights and geography of the same "
                        "calibration."
                    )
                for field in NPZ_FIELDS:
                    with file.member(field) as (_, header):
                        _check_header(header, rows, where, field)
        case "blocks":
            with npy.open_file(path, InputError) as stream:
                total = os.fstat(stream.fileno()).st_size
                header = npy.read_header(stream, total, where, "block_geoid", InputError)
                _check_header(header, rows, where, "block_geoid")
        case "package":
            pass


def _check_header(header: npy.Header, rows: int, where: str, field: str) -> None:
    _check_vector(header.shape, where, field)
    canonical.check_length(header.size, rows, where, field)
    codes.check_dtype(header.dtype, where, field)


def geography_form(path: Path) -> Form:
    """Which of the three forms a file has, told from its first bytes.

    Raises:
        InputError: missing, or none of them.
    """
    with npy.open_file(Path(path), InputError) as stream:
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

    Read those with :func:`foreign_pickle.frames.read_sparse` and ``read_frame``.

    Raises:
        InputError: missing, damaged, no dict, or it asks for something that could run code.
    """
    with npy.open_file(Path(path), InputError) as stream, pickle_errors():
        package = reader.load(stream, str(path))
    if not isinstance(package, dict):
        raise InputError(
            f"{path}: expected a calibration package: a dict with block_geoid and cd_geoid, found a "
            f"{type(package).__name__}. Give the calibration_package.pkl that calibration saved."
        )
    return {str(key): value for key, value in package.items()}


def _load_npz(path: Path, n_households: int) -> Geography:
    where = str(path)
    with npy.NpzFile(path) as file:
        _check_fields(file.fields, (*NPZ_FIELDS, *SIZE_FIELDS), where)
        n_records, n_clones = (canonical.read_size(file.scalar(field), where, field) for field in SIZE_FIELDS)
        if n_records != n_households:
            raise InputError(
                f"{where}: n_records: expected the {n_households:,} households of the source, found {n_records:,}"
                ". Use the geography that was made for this source."
            )
        rows = canonical.check_rows(n_records, n_clones, where)
        parsed: list[NDArray[np.integer]] = []
        for field, kind in NPZ_FIELDS.items():
            with file.member(field) as (stream, header):
                _check_header(header, rows, where, field)
                chunks = npy.iter_rows(stream, header, where, field)
                parsed.append(codes.parse_codes(chunks, rows, kind, where, field))
    block, district, county, state = parsed
    return Geography.from_codes(
        block,
        district,
        county,
        state,
        n_households=n_households,
        n_clones=n_clones,
        where=where,
    )


def _load_package(path: Path, n_households: int) -> Geography:
    where = str(path)
    package = load_package(path)
    _check_fields(package, PACKAGE_FIELDS, where)
    block = codes.as_column(package["block_geoid"], where, "block_geoid")
    n_clones = _clones(block.size, n_households, where, "block_geoid")
    _check_package(package, block.size, where)
    return Geography.from_arrays(block, package["cd_geoid"], n_records=n_households, n_clones=n_clones, where=where)


def _check_package(package: dict[str, object], rows: int, where: str) -> None:
    """The rest of a package must be about the same household clones as its geography."""
    sizes: dict[str, int] = {}
    if package.get("X_sparse") is not None:
        with pickle_errors():
            matrix = frames.read_sparse(package["X_sparse"], f"{where}: X_sparse")
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
    with npy.open_file(path, InputError) as stream:
        total = os.fstat(stream.fileno()).st_size
        header = npy.read_header(stream, total, where, "block_geoid", InputError)
        _check_vector(header.shape, where, "block_geoid")
        codes.check_dtype(header.dtype, where, "block_geoid")
        n_clones = _clones(header.size, n_households, where, "block_geoid")
        rows = canonical.check_rows(n_households, n_clones, where)
        chunks = npy.iter_rows(stream, header, where, "block_geoid")
        block = codes.parse_codes(chunks, rows, codes.BLOCK, where, "block_geoid")
    if isinstance(block_districts, Path):
        block_districts = read_block_districts(block_districts)
    district = np.concatenate([block_districts.lookup(chunk) for chunk in codes.chunks_of(block, _LOOKUP_ROWS)])
    lost = np.flatnonzero((district == 0) & (block != 0))
    if lost.size:
        examples = ", ".join(f"{block[row]:015d} in row {row}" for row in lost[:3])
        raise InputError(
            f"{where}: block_geoid: expected blocks that the block to district table knows, found {lost.size:,} "
            f"of {rows:,} rows with others, such as {examples}. Give the geography as .npz with its districts, or "
            "the table it was made from."
        )
    return Geography.from_codes(
        block,
        district,
        None,
        None,
        n_households=n_households,
        n_clones=n_clones,
        where=where,
    )


def _check_fields(present: Container[str], needed: tuple[str, ...], where: str) -> None:
    missing = [field for field in needed if field not in present]
    if missing:
        raise InputError(
            f"{where}: {', '.join(missing)}: expected the fields {', '.join(needed)}, found "
            f"{'no such field' if len(missing) == 1 else 'no such fields'}. Give the file that calibration saved."
        )


def _check_vector(shape: tuple[int, ...], where: str, field: str) -> None:
    if len(shape) != 1:
        raise InputError(
            f"{where}: {field}: expected a one-dimensional array with one code per household clone, found an "
            f"array of shape {shape}. Give one code per row, clone after clone."
        )


def _clones(rows: int, n_households: int, where: str, field: str) -> int:
    if rows == 0 or rows % n_households:
        raise InputError(
            f"{where}: {field}: expected a positive multiple of the {n_households:,} households of the source, "
            f"found {rows:,} rows. Use the geography that was made for this source."
        )
    return rows // n_households
