"""Write tables split by area: a Parquet file for each entity, a row group for each area, and last their index.

Equal tables give equal bytes, with one version of pyarrow. Each file gets its name when it is whole; the index comes
last and says which files belong together, so without one nothing is finished.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pe_data.describe.beside import INDEX_NAME
from pe_data.describe.range_index import (
    HEAD_KEY,
    ROW,
    SCHEMA,
    Footer,
    GroupedFile,
    Head,
    RangeIndex,
    chunk_of,
    footer_metadata,
)
from pe_data.errors import CacheError, InputError
from pe_data.files.atomic import beside, sync_folder
from pe_data.names.digests import Sha256, sha256_bytes, sha256_file

COMPRESSION, LEVEL = "zstd", 9
TAIL_BYTES = 8
"""Behind a footer: its length and the mark PAR1."""


@dataclass(frozen=True, slots=True)
class Split:
    """The rows of one area, which follow each other in every table."""

    part_of: str
    """The area around it, such as a state."""
    area: str | None
    """None if it is not known."""
    rows: Mapping[str, tuple[int, int]]
    """Entity → first row, and the one behind the last."""


def write_by_area(
    folder: Path,
    tables: Mapping[str, Callable[[], pa.Table]],
    splits: Sequence[Split],
    *,
    years: tuple[int, ...],
    source: Sha256,
    statistics: Sequence[str] = (),
) -> dict[str, Path]:
    """Write `{entity}.parquet` for each table, and `index.parquet`.

    Args:
        folder: Made if it is not there. Files of the same names are replaced.
        tables: Entity → makes its table; one is in memory at a time.
        splits: Their areas, in the order of the rows.
        years: That the tables cover.
        source: sha256 of the file that they come from.
        statistics: Columns whose least and largest value in a row group the footer has, so that a query can leave row
            groups out. Those of all columns would make the footer twice as large.

    Returns:
        Entity, or `index`, → file.

    Raises:
        InputError: the splits are not all rows of a table in order, or a table has the name of the index.
        CacheError: the folder cannot be written.
    """
    if INDEX_NAME in tables:
        raise InputError(f"{folder}: entity: expected another name than {INDEX_NAME!r}, which the index has")
    written: dict[str, Path] = {}
    files: dict[str, GroupedFile] = {}
    ranges: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    index = folder / f"{INDEX_NAME}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        index.unlink(missing_ok=True)  # it is about other bytes from here on
        for entity in sorted(tables):
            table = tables[entity]()
            kept = _in_order(entity, table.num_rows, splits)
            path = folder / f"{entity}.parquet"
            with _whole(path) as temporary:
                _write(temporary, table, kept, footer_metadata(entity, years), statistics)
                files[entity] = _note(temporary, entity, kept, ranges)
            written[entity] = path
        head = Head(source=source, time_period=years, files=files)
        metadata = footer_metadata(ROW, years) | {HEAD_KEY: head.to_bytes()}
        with _whole(index) as temporary:
            rows = pa.table(ranges, schema=SCHEMA.with_metadata(metadata))
            pq.write_table(rows, temporary, compression=COMPRESSION, compression_level=LEVEL, write_statistics=False)
            RangeIndex.read(temporary, str(index))
        written[INDEX_NAME] = index
    except OSError as error:
        raise CacheError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return written


def _write(
    path: Path,
    table: pa.Table,
    splits: Sequence[tuple[Split, int, int]],
    metadata: Mapping[bytes, bytes],
    statistics: Sequence[str],
) -> None:
    shown = [name for name in statistics if name in table.column_names]
    schema = table.schema.with_metadata(dict(metadata))
    options: dict[str, Any] = {"compression": COMPRESSION, "compression_level": LEVEL}
    with pq.ParquetWriter(path, schema, **options, write_statistics=shown or False) as writer:
        for _, first, end in splits:
            writer.write_table(table.slice(first, end - first).cast(schema), row_group_size=end - first)


def _in_order(entity: str, rows: int, splits: Sequence[Split]) -> list[tuple[Split, int, int]]:
    """The splits with rows of an entity, each a row group. Raises InputError."""
    kept, at = [], 0
    for split in splits:
        first, end = split.rows.get(entity, (at, at))
        if first != at or end < first:
            raise InputError(
                f"{entity}: {split.area or split.part_of}: expected rows from {at}, found {first} to {end}"
            )
        at = end
        if end > first:
            kept.append((split, first, end))
    if at != rows:
        raise InputError(f"{entity}: expected areas for all {rows} rows, found them for {at}")
    return kept


def _note(
    path: Path, entity: str, splits: Sequence[tuple[Split, int, int]], ranges: dict[str, list[Any]]
) -> GroupedFile:
    """Add the ranges of a file that is written, and return what is said of it as a whole."""
    footer, size = pq.read_metadata(path), path.stat().st_size
    begins = size - TAIL_BYTES - footer.serialized_size
    with path.open("rb") as file:

        def digest(offset: int, length: int) -> Sha256:
            file.seek(offset)
            return sha256_bytes(file.read(length))

        for group, (split, first, end) in enumerate(splits):
            for number in range(footer.num_columns):
                name, offset, length = chunk_of(footer, group, number)
                values = (entity, group, split.part_of, split.area, end - first, name, offset, length)
                for column, value in zip(SCHEMA.names, (*values, bytes.fromhex(digest(offset, length))), strict=True):
                    ranges[column].append(value)
        last = Footer(begins, size - begins, digest(begins, size - begins))
    return GroupedFile(sha256_file(path), size, footer.num_rows, last)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which gets that name when all went well; what was killed leaves a `.tmp`."""
    temporary = path.with_name(f"{beside(path).name}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
