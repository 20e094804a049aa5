"""The clone index: every household clone with a positive weight, found by area without scanning.

Rows are sorted by (district, clone, household), so that a district is one slice. A state is one slice too, because its
districts are adjacent. Other fields have their own index: for block, tract and county the positions of the rows sorted
by block (a code is a prefix of the block's), for the rest one list per code. An area's rows are always ordered by
(clone, household), the order of the file.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from msgspec import Struct

from local_h5 import us
from local_h5.errors import EmptySelectionError, InputError, RequestError
from local_h5.files.single import beyond_float32
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.codes import distinct
from local_h5.requests import CODE_WIDTH, WITHIN_STATE, AreaBuildRequest, AreaFilter, FilterField

BLOCK_PREFIX: Mapping[FilterField, int] = {"block": 1, "tract": 10**4, "county": 10**10, "state": 10**13}
"""Field → what a block GEOID is divided by to give the field's code."""

TABLE_FIELD: Mapping[FilterField, str] = {
    "puma": "puma",
    "place": "place_fips",
    "zcta": "zcta",
    "cbsa": "cbsa_code",
    "sldu": "sldu",
    "sldl": "sldl",
}
"""Field → its column in the block table."""


class CloneSelection(Struct, frozen=True):
    """The household clones of one area, ordered by (clone, household).

    ``clone`` int32, ``household`` int32 (source index), ``weight`` float64, ``block`` int32 (row of the block table),
    ``district`` int32 (normalised code); all (n_clones,).
    """

    clone: np.ndarray
    household: np.ndarray
    weight: np.ndarray
    block: np.ndarray
    district: np.ndarray

    def __len__(self) -> int:
        return len(self.household)


class CloneIndex(Struct, frozen=True):
    """Active household clones of one calibration package.

    Attributes:
        clone, household, weight, block: as in :class:`CloneSelection`, sorted by (district, clone, household).
        districts: int32 (n_districts,), every district of the geography, ascending; some may have no active clone.
            ``100 * state`` stands for the rows of a state whose district is not known.
        indptr: int64 (n_districts + 1,), the slice of each district.
        by_block: int32, positions sorted by block (stable).
        by_code: table column → (indptr int64 (n_codes + 1,), positions int32).
        n_households: of the source.
        n_clones: of the package.
    """

    stored_as: ClassVar = ("clone_index", 2)

    clone: np.ndarray
    household: np.ndarray
    weight: np.ndarray
    block: np.ndarray
    districts: np.ndarray
    indptr: np.ndarray
    by_block: np.ndarray
    by_code: Mapping[str, tuple[np.ndarray, np.ndarray]]
    n_households: int
    n_clones: int

    @classmethod
    def build(cls, weights: np.ndarray, geography: Geography, blocks: BlockTable) -> Self:
        """Index the rows of ``weights`` (n_clones × n_households, clone-major, float64) that are positive.

        Raises:
            InputError: the vector and the geography have different lengths, no weight is positive, or one would be
                zero or infinite in the files' float32.
            InputError: an active row has no block.
        """
        if len(weights) != len(geography.block):
            raise InputError(
                f"weights: length: expected {len(geography.block):,}, the geography's {geography.n_clones} clones "
                f"× {geography.n_households:,} households, found {len(weights):,}. Give the weights and the "
                "geography of the same calibration."
            )
        rows = np.flatnonzero(weights > 0)
        if not len(rows):
            raise InputError(
                "weights: values: expected some above 0, found none. Use the weights of a finished calibration."
            )
        lost = rows[~np.isfinite(weights[rows]) | beyond_float32(weights[rows])]
        if len(lost):
            raise InputError(
                f"weights: values: expected numbers that float32 holds, found {weights[lost[0]]:g} in row "
                f"{lost[0]:,} ({len(lost):,} rows). Check them with local_h5.inputs.weights.check_weights first."
            )
        geoid = geography.block[rows]
        if not geoid.all():
            empty = rows[geoid == 0]
            raise InputError(
                "geography: block_geoid: expected a block for every household clone with a positive weight, "
                f"found {len(empty):,} of {len(rows):,} empty, first in row {empty[0]:,}. Assign a block to them "
                "or set their weight to 0."
            )
        return cls.of_rows(
            rows,
            weights[rows],
            blocks.rows(geoid),
            geography.district[rows],
            np.unique(geography.district[geography.block > 0]),
            blocks,
            geography.n_households,
            geography.n_clones,
        )

    @classmethod
    def of_rows(
        cls,
        rows: np.ndarray,
        weight: np.ndarray,
        block: np.ndarray,
        district: np.ndarray,
        districts: np.ndarray,
        blocks: BlockTable,
        n_households: int,
        n_clones: int,
    ) -> Self:
        """Index household clones that are checked.

        Args:
            rows: int (n,), ascending, clone-major.
            weight: float64 (n,), positive.
            block: int (n,), row of the block table.
            district: int (n,), normalised code; ``100 * state`` where it is not known.
            districts: int, ascending, all that the geography has, those with number 0 too.
            blocks: the block table.
            n_households: of the source.
            n_clones: of the package.
        """
        order = np.argsort(district, kind="stable")  # rows are (clone, household) already
        rows, district, block = rows[order], district[order], block[order].astype(np.int32)
        clone, household = np.divmod(rows, n_households)
        by_code = {
            column: _invert(blocks.fields[column].codes[block], len(blocks.fields[column].values))
            for column in TABLE_FIELD.values()
            if column in blocks.fields
        }
        return cls(
            clone.astype(np.int32),
            household.astype(np.int32),
            np.ascontiguousarray(weight[order], dtype=np.float64),
            block,
            districts.astype(np.int32),
            np.append(np.searchsorted(district, districts), len(rows)).astype(np.int64),
            np.argsort(block, kind="stable").astype(np.int32),
            by_code,
            n_households,
            n_clones,
        )

    def __len__(self) -> int:
        return len(self.household)

    def select(self, request: AreaBuildRequest, blocks: BlockTable) -> CloneSelection:
        """The household clones that satisfy every filter of ``request``; raises as :meth:`chosen`."""
        return self._in_file_order(self.chosen(request, blocks))

    def chosen(self, request: AreaBuildRequest, blocks: BlockTable) -> np.ndarray:
        """Their positions, in no order: int, at least one.

        Raises:
            RequestError: a filter names a code that the geography does not have.
            EmptySelectionError: no household clone satisfies the filters.
        """
        chosen = self._positions(request, blocks)
        if chosen is None:
            chosen = np.arange(len(self))
        if not len(chosen):
            filters = "; ".join(f"{f.field} {f.op} {', '.join(f.values[:5])}" for f in request.filters)
            raise EmptySelectionError(
                f"{request.area_type} {request.area_id}: filters: expected at least one household clone with a "
                f"positive weight, found none of {len(self):,} ({filters or 'no filter'}). Check the filters "
                "together: each alone may match while the conjunction does not."
            )
        return chosen

    def district(self, code: int) -> CloneSelection:
        """The household clones of one district of the geography; none when no weight there is positive."""
        place = int(np.searchsorted(self.districts, code))
        return self._in_file_order(np.arange(self.indptr[place], self.indptr[place + 1]))

    def _in_file_order(self, positions: np.ndarray) -> CloneSelection:
        clone, household = self.clone[positions], self.household[positions]
        key = clone.astype(np.int64) * self.n_households + household
        if np.any(key[1:] < key[:-1]):
            order = np.argsort(key)
            positions, clone, household = positions[order], clone[order], household[order]
        district = self.districts[np.searchsorted(self.indptr, positions, side="right") - 1]
        return CloneSelection(clone, household, self.weight[positions], self.block[positions], district)

    def _positions(self, request: AreaBuildRequest, blocks: BlockTable) -> np.ndarray | None:
        """Positions of the rows that meet all filters: the shortest list is made, and the other filters reduce it."""
        where = f"{request.area_type} {request.area_id}"
        self._refuse_absent_levels(where, request.filters, blocks)
        _refuse_codes_of_no_state(where, request.filters, blocks)
        lists = [self._lookup(where, item, blocks) for item in request.filters]
        if not lists:
            return None
        first, *others = sorted(lists, key=len)
        chosen = first.positions()
        for other in others:
            chosen = chosen[other.holds(chosen)]
        return chosen

    def _refuse_absent_levels(self, where: str, filters: Sequence[AreaFilter], blocks: BlockTable) -> None:
        """Refuse a filter by a level of places that the geography does not know for any row."""
        if blocks.are_blocks:
            return
        known: list[str] = [name for name, column in TABLE_FIELD.items() if column in blocks.fields]
        known += [name for name in BLOCK_PREFIX if CODE_WIDTH[name] <= blocks.most_digits]
        known += ["district"] if (self.districts % 100).any() else []
        for item in filters:
            if item.field not in known:
                raise RequestError(
                    f"{where}: filter.{item.field}: expected a level of places that the dataset has "
                    f"({', '.join(sorted(known))}), found {item.field}, which no row has. Use another level, or a "
                    "geography with blocks."
                )

    def _lookup(self, where: str, item: AreaFilter, blocks: BlockTable) -> "_Rows":
        if item.field == "district":
            return self._of_districts(where, item)
        if item.field in BLOCK_PREFIX:
            return self._of_block_prefix(where, item, blocks)
        return self._of_table_codes(where, item, blocks)

    def _of_districts(self, where: str, item: AreaFilter) -> "_Rows":
        codes = np.array([us.normalise_district(int(value)) for value in item.values])
        place = np.minimum(np.searchsorted(self.districts, codes), len(self.districts) - 1)
        _refuse_unknown(where, item, self.districts[place] == codes, len(self.districts))
        wanted = distinct(place)
        spans = [(int(self.indptr[p]), int(self.indptr[p + 1])) for p in wanted]
        return _Rows(None, spans, lambda rows: _among(np.searchsorted(self.indptr, rows, side="right") - 1, wanted))

    def _of_block_prefix(self, where: str, item: AreaFilter, blocks: BlockTable) -> "_Rows":
        divisor = BLOCK_PREFIX[item.field]
        codes = np.array([int(value) for value in item.values], dtype=np.int64)
        first = np.searchsorted(blocks.geoid, codes * divisor)
        last = np.searchsorted(blocks.geoid, (codes + 1) * divisor)
        known = last > first
        if blocks.known_digits is not None:  # a code that ends in zeros, such as 37000, is no county's
            known &= blocks.known_digits.take(first, mode="clip") >= CODE_WIDTH[item.field]
        _refuse_unknown(where, item, known, len(blocks.geoid))
        spans = [self._span_of_blocks(*pair) for pair in sorted(set(zip(first.tolist(), last.tolist(), strict=True)))]
        return _Rows(self.by_block, spans, lambda rows: _among(blocks.geoid[self.block[rows]] // divisor, codes))

    def _span_of_blocks(self, first: int, last: int) -> tuple[int, int]:
        # by_block is sorted by block, so a binary search reads 2 log n entries, not all of them.
        low = bisect_left(self.by_block, first, key=self.block.__getitem__)
        return low, bisect_left(self.by_block, last, key=self.block.__getitem__)

    def _of_table_codes(self, where: str, item: AreaFilter, blocks: BlockTable) -> "_Rows":
        column = TABLE_FIELD[item.field]
        field = blocks.fields[column]
        pairs = item.of_states()
        values = np.array([code.encode() for _, code in pairs])
        codes = np.minimum(np.searchsorted(field.values, values), len(field.values) - 1)
        known = field.values[codes] == values
        for place, (state, _) in enumerate(pairs):
            if known[place] and state is not None:
                known[place] = np.any(field.codes[_blocks_of_state(blocks, state)] == codes[place])
        _refuse_unknown(where, item, known, len(field.values) - 1)
        indptr, positions = self.by_code[column]
        anywhere = {code for code, (state, _) in zip(codes.tolist(), pairs, strict=True) if state is None}
        spans = [(int(indptr[code]), int(indptr[code + 1])) for code in sorted(anywhere)]
        inside = []
        for code, (state, _) in zip(codes.tolist(), pairs, strict=True):
            if state is not None and code not in anywhere:
                spans.append(self._span_in_state(indptr[code : code + 2], positions, state))
                inside.append(state * len(field.values) + code)
        wanted, wanted_inside = np.array(sorted(anywhere), np.int64), np.array(inside, np.int64)

        def holds(rows: np.ndarray) -> np.ndarray:
            code = field.codes[self.block[rows]].astype(np.int64)
            state = blocks.geoid[self.block[rows]] // BLOCK_PREFIX["state"]
            return np.isin(code, wanted) | np.isin(state * len(field.values) + code, wanted_inside)

        return _Rows(positions, spans, holds)

    def _span_in_state(self, span: np.ndarray, positions: np.ndarray, state: int) -> tuple[int, int]:
        # Positions of a code ascend, and rows are sorted by district, so those of a state are adjacent.
        first, last = self.indptr[np.searchsorted(self.districts, (100 * state, 100 * (state + 1)))]
        low, high = np.searchsorted(positions[span[0] : span[1]], (first, last)) + span[0]
        return int(low), int(high)


class _Rows(Struct, frozen=True):
    """The rows that one filter admits, as spans.

    Attributes:
        index: positions of rows; None for all of them in order.
        spans: stretches of ``index``.
        holds: whether the filter admits each of some rows.
    """

    index: np.ndarray | None
    spans: list[tuple[int, int]]
    holds: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return sum(last - first for first, last in self.spans)

    def positions(self) -> np.ndarray:
        """All rows; int (n,)."""
        index = self.index
        parts = [np.arange(*span) if index is None else index[slice(*span)] for span in self.spans]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _invert(codes: np.ndarray, n_codes: int) -> tuple[np.ndarray, np.ndarray]:
    counts = np.bincount(codes, minlength=n_codes)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return indptr, np.argsort(codes, kind="stable").astype(np.int32)


def _among(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """``np.isin``, quicker for one value."""
    return values == wanted[0] if len(wanted) == 1 else np.isin(values, wanted)


def _blocks_of_state(blocks: BlockTable, state: int) -> slice:
    first, last = np.searchsorted(blocks.geoid, (state * 10**13, (state + 1) * 10**13))
    return slice(int(first), int(last))


def _refuse_codes_of_no_state(where: str, filters: Sequence[AreaFilter], blocks: BlockTable) -> None:
    """Refuse a code that several states may have, when no filter names the state."""
    if any(item.says_state for item in filters):
        return
    for item in filters:
        if item.field not in WITHIN_STATE:
            continue
        field = blocks.fields[TABLE_FIELD[item.field]]
        for state, code in item.of_states():
            rows = np.flatnonzero(field.codes == np.searchsorted(field.values, code.encode()))
            found = np.unique(blocks.geoid[rows] // BLOCK_PREFIX["state"]).tolist()
            if state is not None or code.encode() not in field.values or not found:
                continue  # a code that the geography lacks is refused elsewhere
            named = ", ".join(f"{us.STATE_POSTAL[fips]} ({fips:02d}{code})" for fips in found[:5])
            raise RequestError(
                f"{where}: filter.{item.field}: expected codes with their state: those of {item.field} are unique "
                f"only within one, found {code}, which {named}{' and others' if len(found) > 5 else ''} "
                f'{"have" if len(found) > 1 else "has"}. Write the whole code, such as "{found[0]:02d}{code}", '
                "or add a filter by state."
            )


def _refuse_unknown(where: str, item: AreaFilter, known: np.ndarray, n_known: int) -> None:
    unknown = [value for value, ok in zip(item.values, known, strict=True) if not ok]
    if unknown:
        raise RequestError(
            f"{where}: filter.{item.field}: expected codes that the geography has ({n_known:,} known), found "
            f"unknown {', '.join(unknown[:5])}{' …' if len(unknown) > 5 else ''}. Correct the code; a part of a "
            "request is never left out."
        )
