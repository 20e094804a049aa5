"""Tiny synthetic microdata, populations and blocks, in the forms of the public files."""

import numpy as np

from local_h5_example.acs import Population
from local_h5_example.microdata import GROWTH, KEYS, RECEIPTS, STRUCTURE, TaxUnits, tax_units
from local_h5_example.package import BlockShares

COLUMNS = (*KEYS, *STRUCTURE, *RECEIPTS, *GROWTH)


def columns(*units: dict[str, int]) -> dict[str, np.ndarray]:
    """Columns of single adults without children or income, except for what ``units`` say."""
    plain = dict.fromkeys(COLUMNS, 0) | {
        "FLPDYR": 2013,
        "a_lineno": 1,
        "ffpos": 1,
        "fips": 1,
        "MARS": 1,
        "age_head": 40,
        "n21": 1,
    }
    return {name: np.array([(plain | unit)[name] for unit in units], dtype=np.int64) for name in COLUMNS}


def units(*rows: dict[str, int], growth: float = 1.0) -> TaxUnits:
    """The same as :class:`TaxUnits`, each of weight 100, all amounts multiplied by ``growth``."""
    factors = {name: growth for pair in GROWTH.values() for name in pair}
    return tax_units(columns(*rows), np.full(len(rows), 100.0), factors)


def many_units(n_households: int, states: tuple[int, ...], seed: int) -> TaxUnits:
    """Households of one tax unit: couples with children, singles and pensioners, in turn over ``states``."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(n_households):
        unit = {"h_seq": number, "fips": states[number % len(states)], "e00200p": int(random.integers(0, 200_000))}
        kind = number // len(states) % 3
        if kind == 0:
            children = int(random.integers(1, 4))
            unit |= {"MARS": 2, "age_spouse": 38, "n21": 2, "nu18": children, "nu13": children, "n24": children}
        elif kind == 1:
            unit |= {"age_head": 70, "e02400": 20_000, "e00200p": 0}
        rows.append(unit)
    return units(*rows)


def states_of(codes: tuple[int, ...], persons: int = 100_000) -> Population:
    n = np.arange(1, len(codes) + 1, dtype=np.int64)
    total = persons * n
    return Population("state", np.array(codes, dtype=np.int64), total, total // 4, total // 5)


def blocks_of(districts: dict[int, int], per_district: int = 20) -> tuple[BlockShares, Population]:
    """Blocks and population of ``districts`` (code as in the table → persons), already in order."""
    codes = np.repeat(np.array(list(districts), dtype=np.int64), per_district)
    place = np.tile(np.arange(per_district), len(districts))
    block = (codes // 100) * 10**13 + (codes % 100) * 10**6 + place
    share = np.full(len(codes), 1 / per_district)
    normalised = [code + 1 if code % 100 == 0 else code - 97 if code % 100 == 98 else code for code in districts]
    total = np.array(list(districts.values()), dtype=np.int64)
    population = Population("district", np.array(normalised, dtype=np.int64), total, total // 4, total // 5)
    return BlockShares(block, codes, share), population
