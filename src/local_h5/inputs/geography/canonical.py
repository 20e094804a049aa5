"""The one form of a geography in the rest of the library.

An assignment has the same two integer arrays and the same digest, whichever file it came from. District codes are
normalised here and nowhere else.
"""

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5.errors import InputError
from local_h5.inputs.chunks import chunks
from local_h5.inputs.geography import codes

MAX_CLONES = 10_000
"""More clones than this are refused as a mistake, or as an attack on memory."""

_DIGEST_HEADER = b"local_h5 geography 1\n"


class Geography(Struct, frozen=True, eq=False):
    """Block and district of every household clone, clone-major: row ``c * n_households + h``.

    Two geographies are equal when their arrays and sizes are equal, however districts were written.
    """

    stored_as: ClassVar = ("geography", 2)
    not_stored: ClassVar = ("spelling",)

    block: NDArray[np.int64]
    """(n,) census block GEOID as an integer; 0 where there is none."""
    district: NDArray[np.int32]
    """(n,) normalised district, ``100 * state + number``, at-large seats as number 1; 0 where there is none."""
    n_households: int
    n_clones: int
    spelling: Mapping[int, int] = {}
    """Normalised district → the code by which the input wrote it, for seats that it wrote in one other way (200)."""

    @property
    def county(self) -> NDArray[np.int32]:
        """(n,) county FIPS as an integer; 0 where there is no block."""
        return (self.block // 10**10).astype(np.int32)

    @property
    def state(self) -> NDArray[np.int32]:
        """(n,) state FIPS; 0 where there is no block."""
        return (self.block // 10**13).astype(np.int32)

    def __len__(self) -> int:
        return int(self.block.size)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Geography)
            and (self.n_households, self.n_clones) == (other.n_households, other.n_clones)
            and np.array_equal(self.block, other.block)
            and np.array_equal(self.district, other.district)
        )

    __hash__ = None  # type: ignore[assignment]

    def digest(self) -> str:
        """Hexadecimal sha256 of sizes, blocks and districts: equal for all forms of one assignment."""
        sha = hashlib.sha256(_DIGEST_HEADER)
        sizes = np.array([self.n_clones, self.n_households])
        for array, dtype in ((sizes, "<i8"), (self.block, "<i8"), (self.district, "<i4")):
            sha.update(np.ascontiguousarray(array, dtype=dtype).data)
        return sha.hexdigest()

    @classmethod
    def from_arrays(
        cls,
        block_geoid: object,
        cd_geoid: object,
        county_fips: object | None = None,
        state_fips: object | None = None,
        *,
        n_records: object,
        n_clones: object,
        where: str = "geography",
    ) -> Self:
        """A geography from the arrays that calibration writes.

        Args:
            block_geoid: (n,) block GEOIDs, text of 15 digits or integers; empty text where there is none.
            cd_geoid: (n,) district codes in any of the forms 200, 0200, 201, 1198.
            county_fips: (n,) county codes, checked against the blocks when given.
            state_fips: (n,) state codes, checked against the blocks when given.
            n_records: number of source households.
            n_clones: number of clones of each; n is their product.
            where: file or argument, for errors.

        Raises:
            InputError: a field has another length, holds something that is no code, or contradicts another.
        """
        n_records = read_size(n_records, where, "n_records")
        n_clones = read_size(n_clones, where, "n_clones")
        rows = check_rows(n_records, n_clones, where)
        given = {
            "block_geoid": (block_geoid, codes.BLOCK),
            "cd_geoid": (cd_geoid, codes.DISTRICT),
            "county_fips": (county_fips, codes.COUNTY),
            "state_fips": (state_fips, codes.STATE),
        }
        parsed: dict[str, NDArray[np.integer]] = {}
        for field, (values, kind) in given.items():
            if values is None and field in ("county_fips", "state_fips"):
                continue
            column = codes.as_column(values, where, field)
            check_length(column.size, rows, where, field)
            parsed[field] = codes.parse_codes((column[part] for part in chunks(rows)), rows, kind, where, field)
        return cls.from_codes(
            parsed["block_geoid"],
            parsed["cd_geoid"],
            parsed.get("county_fips"),
            parsed.get("state_fips"),
            n_households=n_records,
            n_clones=n_clones,
            where=where,
        )

    @classmethod
    def from_codes(
        cls,
        block: NDArray[np.integer],
        district: NDArray[np.integer],
        county: NDArray[np.integer] | None = None,
        state: NDArray[np.integer] | None = None,
        *,
        n_households: int,
        n_clones: int,
        where: str,
    ) -> Self:
        """A geography from codes that are integers already; fields are checked against each other.

        Raises:
            InputError: a block contradicts its district, county or state, or has no district.
        """
        for field, given, divisor, unit in (
            ("cd_geoid", district, 100, 10**13),
            ("county_fips", county, 1, 10**10),
            ("state_fips", state, 1, 10**13),
        ):
            if given is not None:
                _agree(block, unit, given, divisor, where, field)
        normalised = codes.normalise_districts(district)
        blocks = block.astype(np.int64, copy=False)
        return cls(blocks, normalised, n_households, n_clones, spelling_of(district, normalised))


def spelling_of(given: NDArray[np.integer], normalised: NDArray[np.int32]) -> dict[int, int]:
    """Seats that the input wrote in one way only, and not in the normalised one."""
    changed = np.flatnonzero(given != normalised)
    written: dict[int, set[int]] = {}
    for seat, code in set(zip(normalised[changed].tolist(), given[changed].tolist(), strict=True)):
        written.setdefault(seat, set()).add(code)
    seats = sorted(written)
    mixed = np.isin(seats, given)
    return {
        seat: written[seat].pop() for seat, also in zip(seats, mixed, strict=True) if len(written[seat]) == 1 - also
    }


def read_size(value: object, where: str, field: str) -> int:
    """A positive count, given as an integer or an array of one.

    Raises:
        InputError: it is something else.
    """
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iu" or array.item() < 1:
        raise InputError(
            f"{where}: {field}: expected one positive integer, found {f'{value!r}'[:60]}. Write the number of "
            "source households as n_records, of clones as n_clones."
        )
    return int(array.item())


def check_rows(n_households: int, n_clones: int, where: str) -> int:
    """Number of rows of ``n_clones`` clones of ``n_households`` households.

    Raises:
        InputError: the number of clones cannot be meant.
    """
    if n_clones > MAX_CLONES:
        raise InputError(
            f"{where}: n_clones: expected at most {MAX_CLONES:,} clones, found {n_clones:,}. Check that the file "
            "is a geography of this source."
        )
    return n_households * n_clones


def check_length(size: int, rows: int, where: str, field: str) -> None:
    """Refuse a field that does not have one entry per household clone.

    Raises:
        InputError: the length differs.
    """
    if size != rows:
        raise InputError(
            f"{where}: {field}: expected {rows:,} rows (n_records x n_clones), found "
            f"{f'{size:,}' if size else 'none: it is empty'}. Use the geography that was saved together with the "
            "weights."
        )


def _agree(
    block: NDArray[np.integer],
    unit: int,
    given: NDArray[np.integer],
    divisor: int,
    where: str,
    field: str,
) -> None:
    """Refuse rows with a block outside the place of another code (divided). Works in chunks, to save memory."""
    wrong = [
        row + part.start
        for part in chunks(block.size)
        for row in np.flatnonzero((block[part] != 0) & (block[part] // unit != given[part] // divisor)).tolist()
    ]
    if wrong:
        examples = ", ".join(f"block {block[row]:015d} with {given[row]} in row {row}" for row in wrong[:3])
        raise InputError(
            f"{where}: {field}: expected the code that the row's block lies in, found {len(wrong):,} of "
            f"{block.size:,} rows that contradict it: {examples}. The fields are misaligned or edited; use the "
            "file as calibration saved it."
        )
