"""Building the block table from the public tables, for every block that a geography uses."""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.inputs.geography import codes
from local_h5.inputs.geography.block_table import BlockTable, TextField
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.tables import (
    BlockTableFiles,
    CountyCbsa,
    district_of,
    read_block_districts,
    read_county_cbsa,
    read_crosswalk,
)

UnknownBlocks = Literal["error", "allow"]

_EXAMPLES = 3


class UnknownBlocksWarning(UserWarning):
    """Blocks that no table has were allowed. Their finer geography is empty."""


def build_block_table(
    geography: Geography | Sequence[Geography],
    files: BlockTableFiles,
    unknown_blocks: UnknownBlocks = "error",
    *,
    where: str = "geography",
) -> BlockTable:
    """The block table of all blocks that a geography (or several) uses, in any clone.

    Args:
        geography: the geography, or e.g. the regional and the national one.
        files: the public tables.
        unknown_blocks: ``error``, or ``allow``: a block that no table has is accepted, with an
            :class:`UnknownBlocksWarning`, when its county exists; its finer fields are empty.
        where: file or argument that the geography came from, for errors.

    Raises:
        InputError: a table is missing or malformed.
        InputError: a block is unknown, or lies in another district than the geography says.
    """
    geographies = [geography] if isinstance(geography, Geography) else list(geography)
    pairs = _distinct_pairs(geographies)
    blocks = codes.distinct(pairs // 100)
    districts = read_block_districts(files.block_districts)
    district = districts.lookup(blocks)
    counties = codes.distinct(districts.geoid // 10**10)
    del districts
    _check_districts(pairs, blocks, district, geographies, files, where)
    crosswalk = read_crosswalk(files.crosswalk, blocks)
    county_cbsa = read_county_cbsa(files.county_cbsa)
    known = (district != 0) | crosswalk.present
    counties = np.unique(np.concatenate([counties, crosswalk.counties, county_cbsa.county]))
    _check_known(blocks[~known], blocks.size, counties, unknown_blocks, where)
    fields = {**crosswalk.fields, "cbsa_code": _cbsa_field(blocks, county_cbsa)}
    return BlockTable(blocks, district, known, fields)


def _cbsa_field(blocks: NDArray[np.int64], table: CountyCbsa) -> TextField:
    values, code_of_county = np.unique(
        np.concatenate([np.array([b""], dtype=table.cbsa.dtype), table.cbsa]), return_inverse=True
    )
    county = blocks // 10**10
    rows = np.searchsorted(table.county, county)
    found = table.county.take(rows, mode="clip") == county
    position = np.where(found, np.minimum(rows, table.county.size - 1) + 1, 0)
    return TextField(code_of_county[position].astype(np.int32), values)


def _distinct_pairs(geographies: Sequence[Geography]) -> NDArray[np.int64]:
    """Distinct (block, district), each as ``100 * block + number``: their states agree already."""
    pairs = np.empty(0, dtype=np.int64)
    for geography in geographies:
        pairs = codes.distinct(np.concatenate([pairs, codes.distinct(_pairs(geography))]))
    return pairs[pairs >= 100]


def _pairs(geography: Geography) -> NDArray[np.int64]:
    pairs = geography.block * 100
    pairs += geography.district % 100
    return pairs


def _check_districts(
    pairs: NDArray[np.int64],
    blocks: NDArray[np.int64],
    district: NDArray[np.int32],
    geographies: Sequence[Geography],
    files: BlockTableFiles,
    where: str,
) -> None:
    expected = district[np.searchsorted(blocks, pairs // 100)]
    given = district_of(pairs)
    wrong = np.flatnonzero((expected != 0) & (given != expected))
    if not wrong.size:
        return
    rows = sum(int(np.isin(_pairs(geography), pairs[wrong]).sum()) for geography in geographies)
    examples = ", ".join(
        f"block {pairs[one] // 100:015d} in {given[one]} instead of {expected[one]}" for one in wrong[:_EXAMPLES]
    )
    raise InputError(
        f"{where}: cd_geoid: expected the districts of {files.block_districts}, found {rows:,} rows ("
        f"{wrong.size:,} blocks) that disagree: {examples}. Use the block tables of the calibration, or correct "
        "the geography."
    )


def _check_known(
    unknown: NDArray[np.int64],
    total: int,
    counties: NDArray[np.int64],
    unknown_blocks: UnknownBlocks,
    where: str,
) -> None:
    if not unknown.size:
        return
    nowhere = unknown[~np.isin(unknown // 10**10, counties)]
    shown = nowhere if nowhere.size else unknown
    examples = ", ".join(f"{block:015d}" for block in shown[:_EXAMPLES])
    if nowhere.size or unknown_blocks == "error":
        lies = f", {nowhere.size:,} of them in counties that do not exist" if nowhere.size else ""
        raise InputError(
            f"{where}: block_geoid: expected blocks that the block tables know, found {unknown.size:,} of "
            f"{total:,} distinct blocks unknown{lies}, such as {examples}. Correct them, or set "
            "geography.unknown_blocks to allow (for blocks of existing counties)."
        )
    warnings.warn(
        f"{where}: block_geoid: {unknown.size:,} of {total:,} distinct blocks are in no block table, such as "
        f"{examples}; their finer geography is empty",
        UnknownBlocksWarning,
        stacklevel=3,
    )
