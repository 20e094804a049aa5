"""The index of a file that is split by area: which bytes hold which column of which area, each with its sha256.

The data are Parquet files, one for each entity. A row group has the rows of one area, and the same areas stand in the
same order in all of them. The index is a Parquet file of its own, so a store keeps it like any other file, and a
collection binds it by its digest. A row of it is one column of one row group. Its footer has the head: what each file
is, and where the footer of each lies.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pe_data.describe.from_parquet import ENTITY_KEY, YEARS_KEY
from pe_data.documents.document import Count, Digest, Document, Part, Refused, Size
from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import Sha256

HEAD_KEY = b"pe_data.ranges"
"""Key of the footer's metadata with the head (JSON)."""
ROW = "range"
"""What a row of the index is, for its manifest."""
SCHEMA = pa.schema(
    [
        pa.field("entity", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("part_of", pa.string(), nullable=False),
        pa.field("area", pa.string()),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("column", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.binary(32), nullable=False),
    ]
)
"""`area` is the smallest one (`NC-01`; null where it is not known), `part_of` the one around it (`NC`)."""
_ABOUT_A_GROUP = ["entity", "row_group", "part_of", "area", "rows"]
Whole = Annotated[int, msgspec.Meta(ge=1, description="a whole number of at least 1")]


class Footer(Part, frozen=True):
    """Where the footer of a Parquet file lies, its length and the mark at the end included."""

    offset: Count
    size_bytes: Whole
    sha256: Digest


class GroupedFile(Part, frozen=True):
    """One of the files."""

    sha256: Digest
    size_bytes: Size
    rows: Count
    footer: Footer

    def __post_init__(self) -> None:
        if self.footer.offset + self.footer.size_bytes != self.size_bytes:
            end = self.footer.offset + self.footer.size_bytes
            raise Refused("footer", f"the end of the file, at {self.size_bytes}", f"an end at {end}")


class Head(Document, frozen=True):
    """What the index says as a whole.

    Attributes:
        source: sha256 of the file that was split.
        time_period: The years that the files cover.
        files: Entity → its file.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "ranges"}
    source: Digest
    time_period: Annotated[tuple[int, ...], msgspec.Meta(min_length=1, description="one or more years")]
    files: Annotated[Mapping[str, GroupedFile], msgspec.Meta(min_length=1, description="one or more files")]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The bytes of one column in one row group of an entity's file."""

    entity: str
    row_group: int
    column: str
    offset: int
    size_bytes: int
    sha256: Sha256

    @property
    def end(self) -> int:
        """Offset behind the last byte."""
        return self.offset + self.size_bytes


@dataclass(frozen=True, slots=True)
class RangeIndex:
    """An index as it was read."""

    head: Head
    table: pa.Table
    """Of SCHEMA."""
    groups: tuple[tuple[str, int, str, str | None], ...]
    """Entity, row group, area around and area of each row group, in order."""

    @classmethod
    def read(cls, path: Path, what: str) -> "RangeIndex":
        """Read a file whose bytes are known to be the right ones.

        Raises:
            InvalidDocumentError: it is no index, or says what cannot be.
        """
        try:
            table = pq.read_table(path, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InvalidDocumentError(f"{what}: expected an index of ranges, found no Parquet: {error}") from error
        head = cls.head_of(table.schema, what)
        if not table.schema.equals(SCHEMA, check_metadata=False):
            raise InvalidDocumentError(
                f"{what}: expected the columns {', '.join(SCHEMA.names)}, found {', '.join(table.schema.names)}"
            )
        index = cls(head, table, _groups(table))
        index._check(what)
        return index

    @staticmethod
    def head_of(schema: pa.Schema, what: str) -> Head:
        """The head in the metadata of an index. Raises InvalidDocumentError."""
        raw = (schema.metadata or {}).get(HEAD_KEY)
        if raw is None:
            raise InvalidDocumentError(f"{what}: expected an index of ranges, found Parquet without a head")
        return Head.from_bytes(raw, what)

    @property
    def areas(self) -> frozenset[str]:
        """Every area that can be read, small and large."""
        return frozenset(name for _, _, part_of, area in self.groups for name in (part_of, area) if name is not None)

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Entity → its columns, alphabetically."""
        pairs = self.table.select(["entity", "column"]).group_by(["entity", "column"]).aggregate([]).to_pylist()
        found: dict[str, list[str]] = {entity: [] for entity in self.head.files}
        for pair in pairs:
            found[pair["entity"]].append(pair["column"])
        return {entity: tuple(sorted(names)) for entity, names in found.items()}

    def row_groups(self, areas: Iterable[str]) -> dict[str, list[int]]:
        """Entity → the row groups of some areas, each once, in order; none where an entity has no rows there."""
        wanted = frozenset(areas)
        found: dict[str, list[int]] = {entity: [] for entity in self.head.files}
        for entity, group, part_of, area in self.groups:
            if part_of in wanted or area in wanted:
                found[entity].append(group)
        return {entity: sorted(groups) for entity, groups in found.items()}

    def chunks(self, entity: str, row_groups: Iterable[int], columns: Iterable[str]) -> list[Chunk]:
        """The ranges of some columns of some row groups, in the order of the file."""
        table = self.table
        wanted = pc.and_(
            pc.equal(table["entity"], entity),
            pc.and_(
                pc.is_in(table["row_group"], pa.array(list(row_groups), pa.int32())),
                pc.is_in(table["column"], pa.array(list(columns), pa.string())),
            ),
        )
        rows = table.filter(wanted).sort_by("offset").to_pylist()
        return [
            Chunk(
                entity, row["row_group"], row["column"], row["offset"], row["size_bytes"], Sha256(row["sha256"].hex())
            )
            for row in rows
        ]

    def _check(self, what: str) -> None:
        """Raise InvalidDocumentError for a range outside of its file, or a row group or column twice."""
        table, names = self.table, set(self.head.files)
        unknown = set(pc.unique(table["entity"]).to_pylist()) - names
        if unknown:
            raise InvalidDocumentError(f"{what}: entity: expected one of {', '.join(names)}, found {min(unknown)!r}")
        for name in ("row_group", "offset", "size_bytes", "rows"):
            least = pc.min(table[name]).as_py()
            if least is not None and least < 0:
                raise InvalidDocumentError(f"{what}: {name}: expected no number below 0, found {least}")
        for entity, file in self.head.files.items():
            own = table.filter(pc.equal(table["entity"], entity))
            last = pc.max(pc.add(own["offset"], own["size_bytes"])).as_py()
            if last is not None and last > file.footer.offset:
                raise InvalidDocumentError(
                    f"{what}: {entity}: expected ranges before the footer at {file.footer.offset}, found one to {last}"
                )
        keys = table.select(["entity", "row_group", "column"])
        if keys.group_by(keys.column_names).aggregate([]).num_rows != table.num_rows:
            raise InvalidDocumentError(f"{what}: expected each column of a row group once, found one twice")
        if len({key[:2] for key in self.groups}) != len(self.groups):
            raise InvalidDocumentError(f"{what}: expected each row group to be of one area, found one of two")


def source_of(path: Path) -> Sha256 | None:
    """sha256 of the file that was split, as the index at `path` says; None if it is no index that can be read."""
    with suppress(InvalidDocumentError, pa.ArrowException, OSError):
        return RangeIndex.head_of(pq.read_schema(path), str(path)).source
    return None


def _groups(table: pa.Table) -> tuple[tuple[str, int, str, str | None], ...]:
    rows = table.select(_ABOUT_A_GROUP).group_by(_ABOUT_A_GROUP).aggregate([]).to_pylist()
    return tuple(sorted(
        ((row["entity"], row["row_group"], row["part_of"], row["area"]) for row in rows), key=lambda row: row[:2]
    ))  # fmt: skip


def footer_metadata(entity: str, years: Iterable[int]) -> dict[bytes, bytes]:
    """What a footer says of its rows, so that the file can be described without an index."""
    return {ENTITY_KEY: entity.encode(), YEARS_KEY: " ".join(map(str, years)).encode()}


def chunk_of(footer: pq.FileMetaData, row_group: int, column: int) -> tuple[str, int, int]:
    """Name, offset and bytes of a column of a row group, as a footer has it: its dictionary comes before its pages."""
    found = footer.row_group(row_group).column(column)
    begins = found.data_page_offset
    if found.has_dictionary_page and found.dictionary_page_offset:
        begins = min(begins, found.dictionary_page_offset)
    return found.path_in_schema, begins, found.total_compressed_size
