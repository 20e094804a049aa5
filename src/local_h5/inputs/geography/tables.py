"""Reading the public tables: block → district, block crosswalk, county → CBSA.

They are read in batches. Only the crosswalk rows of blocks in use are kept. Text widths, known counties and malformed
rows are taken from the whole table, so that they do not depend on the geography.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.inputs.geography import codes
from local_h5.inputs.geography.block_table import CROSSWALK_FIELDS, TextField

if TYPE_CHECKING:
    import pyarrow as pa

CBSA_COLUMNS = (("county_fips", "cbsa_code"), ("stcofips", "CBSA Code"))
"""Possible names of the two columns of the county → CBSA table."""

_READ_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class BlockTableFiles:
    """The three public tables, CSV, gzip-compressed if the name ends in ``.gz``."""

    block_districts: Path
    """Columns ``cd_geoid``, ``block_geoid``."""
    crosswalk: Path
    """Columns ``block_geoid`` and those of :data:`~local_h5.inputs.geography.block_table.CROSSWALK_FIELDS`."""
    county_cbsa: Path
    """Columns ``county_fips``, ``cbsa_code`` (or ``stcofips``, ``CBSA Code``)."""


@dataclass(frozen=True, slots=True)
class BlockDistricts:
    """The whole block → district table."""

    geoid: NDArray[np.int64]
    """(N,) block GEOID, ascending."""
    district: NDArray[np.int32]
    """(N,) normalised district."""

    def lookup(self, blocks: NDArray[np.int64]) -> NDArray[np.int32]:
        """District of each block, 0 where the table does not have it."""
        order = np.argsort(blocks)  # searching in ascending order stays in the cache: four times faster
        wanted = blocks[order]
        rows = np.searchsorted(self.geoid, wanted)
        found = self.geoid.take(rows, mode="clip") == wanted
        district = np.zeros(blocks.size, dtype=np.int32)
        district[order] = np.where(found, self.district.take(rows, mode="clip"), 0)
        return district


def district_of(pairs: NDArray[np.int64]) -> NDArray[np.int32]:
    """District of each ``100 * block + number``: the block's state and the number."""
    return (pairs // 10**15 * 100 + pairs % 100).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Crosswalk:
    """The rows of the block crosswalk for a given list of blocks."""

    present: NDArray[np.bool_]
    """(B,) whether the crosswalk has the block."""
    fields: Mapping[str, TextField]
    counties: NDArray[np.int64]
    """All counties of the whole table, ascending."""


@dataclass(frozen=True, slots=True)
class CountyCbsa:
    """The county → CBSA table; counties outside every CBSA are not in it."""

    county: NDArray[np.int64]
    """(C,) county FIPS, ascending."""
    cbsa: NDArray[np.bytes_]
    """(C,) CBSA code."""


def read_block_districts(path: Path) -> BlockDistricts:
    """The block → district table, checked: every block once, in a district of its own state.

    Raises:
        InputError: missing or malformed.
    """
    parts = []
    for batch in _read_csv(path, dict.fromkeys(("block_geoid", "cd_geoid"), "int64")):
        block, district = _numbers(batch, "block_geoid"), _numbers(batch, "cd_geoid")
        _check_blocks(block, path)
        wrong = np.flatnonzero(district // 100 != block // 10**13)
        if wrong.size:
            raise InputError(
                f"{path}: cd_geoid: expected a district of the block's own state, found block "
                f"{block[wrong[0]]:015d} in district {district[wrong[0]]}. Fetch the table again."
            )
        parts.append(block * 100 + codes.normalise_districts(district) % 100)
    pairs = np.concatenate(parts)
    parts.clear()
    pairs.sort()
    block = pairs // 100
    _check_once(block[1:][np.diff(block) == 0], path)
    return BlockDistricts(block, district_of(pairs))


def read_crosswalk(path: Path, blocks: NDArray[np.int64]) -> Crosswalk:
    """The crosswalk rows of ``blocks`` (ascending), and facts about the whole table.

    Raises:
        InputError: missing or malformed.
    """
    pa, _ = _pyarrow(path)
    from pyarrow import compute

    used = []
    counties: set[int] = set()
    widths = dict.fromkeys(CROSSWALK_FIELDS, 1)
    for batch in _read_csv(path, {"block_geoid": "int64", **dict.fromkeys(CROSSWALK_FIELDS, "string")}):
        block = _numbers(batch, "block_geoid")
        _check_blocks(block, path)
        counties.update(codes.distinct(block // 10**10).tolist())
        for name in widths:
            widths[name] = max(widths[name], compute.max(compute.binary_length(batch.column(name))).as_py() or 0)
        if blocks.size:
            found = blocks.take(np.searchsorted(blocks, block), mode="clip") == block
            used.append(batch.filter(pa.array(found)))
    table = pa.Table.from_batches(used, batch.schema)
    rows = np.searchsorted(blocks, _numbers(table, "block_geoid"))
    times = np.bincount(rows, minlength=blocks.size)
    _check_once(blocks[times > 1], path)
    fields = {}
    for name, width in widths.items():
        encoded = table.column(name).dictionary_encode().combine_chunks()
        texts = _ascii(["", *encoded.dictionary.to_pylist()], path, name).astype(f"S{width}")
        values, place = np.unique(texts, return_inverse=True)
        of_block = np.zeros(blocks.size, dtype=np.int32)
        of_block[rows] = place[1:][encoded.indices]
        fields[name] = TextField(of_block, values)
    return Crosswalk(times > 0, fields, np.array(sorted(counties), dtype=np.int64))


def read_county_cbsa(path: Path) -> CountyCbsa:
    """The county → CBSA table.

    Raises:
        InputError: missing or malformed, or a county has two codes.
    """
    header = _header(path)
    names = next((pair for pair in CBSA_COLUMNS if set(pair) <= set(header)), None)
    if names is None:
        expected = " or ".join(f"columns {pair[0]} and {pair[1]}" for pair in CBSA_COLUMNS)
        raise InputError(
            f"{path}: expected {expected}, found columns {', '.join(header)[:200]}. "
            "Give a table with one row per county."
        )
    table = _pyarrow(path)[0].Table.from_batches(_read_csv(path, {names[0]: "int64", names[1]: "string"}))
    cbsa = _ascii(table.column(names[1]).to_pylist(), path, names[1])
    county, first, place = np.unique(_numbers(table, names[0]), return_index=True, return_inverse=True)
    differs = np.flatnonzero(cbsa != cbsa[first][place])
    if differs.size:
        code = county[place[differs[0]]]
        raise InputError(
            f"{path}: {names[1]}: expected one code per county, found two for county {code:05d}. Give a table "
            "with one row per county."
        )
    return CountyCbsa(county, cbsa[first])


def _check_blocks(block: NDArray[np.int64], path: Path) -> None:
    wrong = block[~codes.is_state(block // 10**13)]
    if wrong.size:
        raise InputError(
            f"{path}: block_geoid: expected census block codes of 15 digits, found {wrong.size:,} rows with "
            f"something else, such as {wrong[0]}. Fetch the table again."
        )


def _check_once(repeated: NDArray[np.int64], path: Path) -> None:
    if repeated.size:
        raise InputError(
            f"{path}: block_geoid: expected every block once, found {repeated.size:,} repeated, such as "
            f"{repeated[0]:015d}. Fetch the table again."
        )


def _numbers(batch: "pa.RecordBatch | pa.Table", name: str) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = batch.column(name).fill_null(0).__array__()
    return numbers


def _ascii(values: list[str], path: Path, field: str) -> NDArray[np.bytes_]:
    try:
        return np.array([value.encode("ascii") for value in values], dtype=np.bytes_)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: {field}: expected codes of ASCII characters, found {error.object!r}. Fetch the table again."
        ) from error


def _header(path: Path) -> list[str]:
    pa, csv = _pyarrow(path)
    try:
        with csv.open_csv(path) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:  # names that are not UTF-8
        raise _unreadable(path, error) from error


def _read_csv(path: Path, column_types: Mapping[str, Any]) -> "Iterator[pa.RecordBatch]":
    """The named columns of a CSV in batches, on one thread: memory stays at a few megabytes."""
    pa, csv = _pyarrow(path)
    rows = 0
    try:
        with csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=_READ_BYTES, use_threads=False),
            convert_options=csv.ConvertOptions(include_columns=list(column_types), column_types=column_types),
        ) as reader:
            for batch in reader:
                rows += batch.num_rows
                yield batch
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if not rows:
        raise _unreadable(path, ValueError("no rows"))


def _pyarrow(path: Path) -> tuple[Any, Any]:
    """pyarrow and its CSV reader, an optional dependency for reading the public tables."""
    try:
        import pyarrow
        from pyarrow import csv
    except ImportError as error:
        raise InputError(
            f"{path}: expected the package pyarrow, to read the table, found {error}. Install the "
            "extra 'frames' of local-h5."
        ) from error
    return pyarrow, csv


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: expected a complete CSV table, found {str(error)[:200]}. Fetch the table again; a missing table "
        "is never taken for empty fields."
    )
