"""The block table: what is known about every census block that a geography uses.

It is prepared once (:mod:`~local_h5.inputs.geography.blocks`) and stored as plain arrays. Every area job reads it.
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


class TextField(Struct, frozen=True):
    """One text per block, stored as positions in a list of distinct texts."""

    codes: NDArray[np.int32]
    """(B,) position in ``values``; 0 is the empty text."""
    values: NDArray[np.bytes_]
    """Distinct texts, ascending, the empty one first. As wide as the widest text of the whole source table."""


class BlockTable(Struct, frozen=True):
    """Facts about B distinct blocks."""

    stored_as: ClassVar = ("block_table", 2)

    geoid: NDArray[np.int64]
    """(B,) block GEOID, ascending, none 0."""
    district: NDArray[np.int32]
    """(B,) normalised district by the table; 0 where the table has none for the block."""
    known: NDArray[np.bool_]
    """(B,) whether any block table has the block."""
    fields: Mapping[str, TextField]
    """The text fields, by the names of :data:`TEXT_FIELDS`."""

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
        """(n,) county FIPS."""

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
