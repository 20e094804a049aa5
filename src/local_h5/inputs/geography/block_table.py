"""The block table: what is known about every place that a geography uses.

A place is a census block, or what is known of one: its GEOID is that of the finest census unit known, with zeros up to
the 15 digits of a block. So the codes of coarser units are the first digits of a place, however much of it is known.

The table is prepared once (:mod:`~local_h5.inputs.geography.blocks`, :mod:`~local_h5.inputs.geography.own`) and stored
as plain arrays. Every area job reads it.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5.errors import InputError

CROSSWALK_FIELDS = ("sldu", "sldl", "place_fips", "vtd", "puma", "zcta")
TEXT_FIELDS = (*CROSSWALK_FIELDS, "cbsa_code")
"""The text fields of a block, in their stored order."""

GEOID_COLUMNS: Mapping[str, int] = {"block_geoid": 15, "tract_geoid": 11, "county_fips": 5}
"""Columns of a file that are first digits of a place's GEOID, with their number of digits."""

BLOCK = GEOID_COLUMNS["block_geoid"]
STATE = 2
"""Digits of a state, which is known for every place."""

PLACE_COLUMNS = (
    *GEOID_COLUMNS, "state_fips", "county", "congressional_district_geoid", "zip_code",
)  # fmt: skip
"""Place columns of a file beside the text fields, where blocks are known."""


class TextField(Struct, frozen=True):
    """One text per block, stored as positions in a list of distinct texts."""

    codes: NDArray[np.int32]
    """(B,) position in ``values``; 0 is the empty text."""
    values: NDArray[np.bytes_]
    """Distinct texts, ascending, the empty one first. As wide as the widest text of the whole source table."""


class BlockTable(Struct, frozen=True):
    """Facts about B distinct places."""

    stored_as: ClassVar = ("block_table", 3)

    geoid: NDArray[np.int64]
    """(B,) GEOID of the place, ascending, none 0; see above. Places that are blocks are there once."""
    district: NDArray[np.int32]
    """(B,) normalised district by the table; 0 where the table has none for the block."""
    known: NDArray[np.bool_]
    """(B,) whether any block table has the block."""
    fields: Mapping[str, TextField]
    """The text fields, by the names of :data:`TEXT_FIELDS`; those that are known anywhere."""
    known_digits: NDArray[np.uint8] | None = None
    """(B,) how many digits of the GEOID are known: 2, 5, 11 or 15; None when every place is a block."""
    columns: tuple[str, ...] = PLACE_COLUMNS
    """Columns that files have beside the text fields, of :data:`PLACE_COLUMNS`."""

    @property
    def are_blocks(self) -> bool:
        """Whether every place is a block."""
        return self.known_digits is None

    @property
    def most_digits(self) -> int:
        """Digits of the finest census unit that is known anywhere."""
        return BLOCK if self.known_digits is None else int(self.known_digits.max(initial=STATE))

    def __len__(self) -> int:
        return int(self.geoid.size)

    @property
    def n_unknown(self) -> int:
        """Number of blocks that no table has; 0 unless unknown blocks were allowed."""
        return int(np.count_nonzero(~self.known))

    def rows(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of each of ``blocks`` in this table.

        Raises:
            InputError: a block is not in the table, because it was prepared for another geography.
        """
        rows = np.searchsorted(self.geoid, blocks)
        absent = self.geoid.take(rows, mode="clip") != blocks if len(self) else np.ones(rows.shape, np.bool_)
        if absent.any():
            example = int(np.asarray(blocks)[absent][0])
            raise InputError(
                f"block table: geoid: expected every block of the area, found {np.count_nonzero(absent):,} blocks "
                f"that it lacks, such as {example:015d}. Prepare again: the table was made for another geography."
            )
        return rows

    def at(self, rows: NDArray[np.integer]) -> "BlockRows":
        """The table at some rows, with a memory of what was looked up."""
        return BlockRows(self, rows)

    def text(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """The text field ``name`` at ``rows``, as fixed-width bytes; empty where there is none."""
        field = self.fields[name]
        return field.values[field.codes[rows]]


class BlockRows:
    """Facts about the blocks of an area's household clones, each looked up once.

    The rows of an area are scattered over the table, so a look-up waits for memory longer than the work on its result.
    """

    def __init__(self, table: BlockTable, rows: NDArray[np.integer]) -> None:
        self._table = table
        self._rows = rows
        self._codes: dict[str, NDArray[np.int32]] = {}
        self.geoid: NDArray[np.int64] = table.geoid[rows]
        """(n,) block GEOID."""
        self.county: NDArray[np.int64] = self.geoid // 10**10
        """(n,) county FIPS; ends in 000 where it is not known."""
        digits = table.known_digits
        self.known_digits: NDArray[np.uint8] | None = None if digits is None else digits[rows]
        """(n,) how many digits of the GEOID are known; None when all are blocks."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that files have beside the text fields."""
        return self._table.columns

    def knows(self, digits: int) -> NDArray[np.bool_]:
        """(n,) whether so many digits of the GEOID are known."""
        if self.known_digits is None:
            return np.ones(self.geoid.shape, np.bool_)
        return self.known_digits >= digits

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the text fields."""
        return tuple(self._table.fields)

    def known(self) -> NDArray[np.bool_]:
        """(n,) whether any block table has the block."""
        return self._table.known[self._rows]

    def codes(self, name: str) -> NDArray[np.int32]:
        """(n,) positions of the text field ``name`` in its values; 0 where it is empty."""
        if name not in self._codes:
            self._codes[name] = self._table.fields[name].codes[self._rows]
        return self._codes[name]

    def text(self, name: str) -> NDArray[np.bytes_]:
        """(n,) the text field ``name``, as fixed-width bytes."""
        return self._table.fields[name].values[self.codes(name)]
