"""Eligibility for a programme: one bit per county and source unit."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from local_h5.errors import InputError

NO_COUNTY: Final = 0
"""County code of a household clone without a block. No unit there is eligible."""


class PackedEligibility(Struct, frozen=True):
    """Eligibility of every source unit in every county that the geography uses."""

    counties: NDArray[np.int32]
    """int32 (n_counties,): five-digit county FIPS as integers, ascending."""
    bits: NDArray[np.uint8]
    """uint8 (n_counties, ceil(n_units / 8)): bit ``u % 8`` (least significant first) of byte ``u // 8`` is unit u."""
    n_units: int
    """Number of source units of the programme's entity."""

    @classmethod
    def pack(cls, rows: Iterable[tuple[int, NDArray[np.bool_]]], n_units: int) -> "PackedEligibility":
        """Pack (county code, eligible bool (n_units,)) pairs, one county at a time.

        Args:
            rows: the counties in any order. With a generator only one unpacked row is in memory.
            n_units: number of source units.

        Raises:
            InputError: a county appears twice, is not positive, or a row has another length.
        """
        packed: dict[int, NDArray[np.uint8]] = {}
        for county, eligible in rows:
            if eligible.shape != (n_units,) or eligible.dtype != np.bool_:
                raise InputError(
                    f"eligibility in county {county:05d}: expected bool ({n_units},), found {eligible.dtype} "
                    f"{eligible.shape}"
                )
            if county in packed or county <= NO_COUNTY:
                raise InputError(
                    "eligibility: county: expected every county once, by its FIPS code, found "
                    f"{f'{county:05d}' + (' twice' if county in packed else '')}"
                )
            packed[county] = np.packbits(eligible, bitorder="little")
        order = sorted(packed)
        width = (n_units + 7) // 8
        bits = np.array([packed[county] for county in order], dtype=np.uint8)
        return cls(np.array(order, dtype=np.int32), bits.reshape(len(order), width), n_units)

    def with_always(self, always: NDArray[np.bool_]) -> "PackedEligibility":
        """The table with some units (bool (n_units,)) made eligible in every county."""
        return replace(self, bits=self.bits | np.packbits(always, bitorder="little"))

    def county_rows(self, county: NDArray[np.integer]) -> NDArray[np.intp]:
        """Row of every county, -1 for :data:`NO_COUNTY`.

        Raises:
            InputError: a county is not in the table.
        """
        if self.counties.size == 0:
            row = np.full(county.shape, -1, dtype=np.intp)
            unknown = county != NO_COUNTY
        else:
            row = np.searchsorted(self.counties, county)
            row[row == self.counties.size] = 0
            row[county == NO_COUNTY] = -1
            unknown = (self.counties[row] != county) & (row >= 0)
        if unknown.any():
            codes = np.unique(county[unknown])
            raise InputError(
                f"eligibility: county: expected one of the {self.counties.size} counties of the table, found "
                f"{codes.size} others, the first {int(codes[0]):05d}. Prepare again with the geography that the "
                "file is built from."
            )
        return row

    def at(self, county_rows: NDArray[np.integer], unit_rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Eligibility by row of the table; -1 is never eligible.

        Args:
            county_rows: integer (m,), from :meth:`county_rows`.
            unit_rows: integer (m,), rows of the source units.

        Returns:
            bool (m,).
        """
        if self.counties.size == 0:
            return np.zeros(county_rows.shape, dtype=np.bool_)
        byte: NDArray[np.uint8] = self.bits[county_rows, unit_rows >> 3]
        byte >>= (unit_rows & 7).astype(np.uint8)
        byte &= np.uint8(1)
        eligible: NDArray[np.bool_] = byte.view(np.bool_)
        eligible &= county_rows >= 0
        return eligible
