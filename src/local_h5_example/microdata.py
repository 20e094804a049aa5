"""The public CPS tax microdata: one row per tax unit, amounts aged from the file's year to the source's.

The file (``cps.csv.gz`` of the Tax-Calculator project) is made from the public Current Population Survey of 2012-2014.
Heads and spouses are exact; dependents exist as counts by age band only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from local_h5.errors import InputError
from local_h5.files.text_table import read_table

FILE_YEAR = 2014
"""Year of the dollars in the file."""

YEAR = 2024
"""Year of the aged amounts and weights, and of the population references."""

GROWTH: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("e00200p", "e00200s"), ("AWAGE", "AWAGE")),
    **dict.fromkeys(("e00900p", "e00900s"), ("ASCHCI", "ASCHCL")),
    **dict.fromkeys(("e02100p", "e02100s"), ("ASCHF", "ASCHF")),
    **dict.fromkeys(("e00300", "e00400"), ("AINTS", "AINTS")),
    **dict.fromkeys(("e00600", "e00650"), ("ADIVS", "ADIVS")),
    "e01100": ("ACGNS", "ACGNS"),
    "e02300": ("AUCOMP", "AUCOMP"),
    "e02400": ("ASOCSEC", "ASOCSEC"),
    "e19200": ("AIPD", "AIPD"),
    "ssi_ben": ("ABENSSI", "ABENSSI"),
    "vet_ben": ("ABENVET", "ABENVET"),
    **dict.fromkeys(
        (
            *("e00800", "e01400", "e01500", "e01700", "e03150", "e03210", "e03300"),
            *("e18500", "e19800", "e20100"),
        ),
        ("ATXPY", "ATXPY"),
    ),
}
"""Amount column → its growth factor for gains and for losses (the project's own assignment)."""

RECEIPTS = ("mcaid_ben", "housing_ben", "wic_ben")
"""Imputed benefits. Only their receipt is used, so they are not aged."""

KEYS = ("FLPDYR", "h_seq", "a_lineno", "ffpos", "fips")
STRUCTURE = (
    *("MARS", "DSI", "age_head", "age_spouse", "blind_head", "blind_spouse"),
    *("nu06", "nu13", "nu18", "n24", "n1820", "n21", "elderly_dependents"),
)

ADULT = 18

BANDS: tuple[tuple[int, int], ...] = ((0, 5), (6, 12), (13, 16), (17, 17), (18, 20), (21, 30), (65, 84))
"""Ages of the dependents' bands, both ends included. The sixth is "21 or older" in the file; 30 is a choice."""

_ADULT_BANDS = slice(4, 7)


@dataclass(frozen=True, slots=True)
class TaxUnits:
    """Tax units, ordered by household and line number.

    Attributes:
        columns: name → int64 (n,) for keys, structure and receipts, float64 (n,) for amounts (dollars of
            :data:`YEAR`).
        household: dense household number of each unit, int64 (n,), ascending.
        dependents: number of dependents by :data:`BANDS`, int64 (n, 7).
        spouse: whether the unit has one, bool (n,).
        largest: largest absolute amount, in dollars of :data:`FILE_YEAR`, float64 (n,).
        weight: tax units represented in :data:`YEAR`, float64 (n,).
    """

    columns: Mapping[str, np.ndarray]
    household: np.ndarray
    dependents: np.ndarray
    spouse: np.ndarray
    largest: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.household)

    @property
    def n_households(self) -> int:
        """Number of households."""
        return int(self.household[-1]) + 1 if len(self) else 0

    def persons(self) -> np.ndarray:
        """Persons of each unit, int64 (n,)."""
        result: np.ndarray = 1 + self.spouse + self.dependents.sum(axis=1)
        return result

    def adults(self) -> np.ndarray:
        """Persons of 18 years and more of each unit, int64 (n,)."""
        heads = (self.columns["age_head"] >= ADULT).astype(np.int64)
        heads += self.spouse_age() >= ADULT
        heads += self.dependents[:, _ADULT_BANDS].sum(axis=1)
        return heads

    def spouse_age(self) -> np.ndarray:
        """Age of the spouse, int64 (n,): the head's where a joint unit's spouse has no age; −1 without spouse."""
        age = self.columns["age_spouse"]
        return np.where(self.spouse, np.where(age > 0, age, self.columns["age_head"]), -1)

    def of_households(self, keep: np.ndarray) -> "TaxUnits":
        """The units of the households for which ``keep`` (bool, by household) is true, renumbered densely."""
        rows = keep[self.household]
        return TaxUnits(
            columns={name: values[rows] for name, values in self.columns.items()},
            household=(np.cumsum(keep) - 1)[self.household[rows]],
            dependents=self.dependents[rows],
            spouse=self.spouse[rows],
            largest=self.largest[rows],
            weight=self.weight[rows],
        )


def read_tax_units(microdata: Path, weights: Path, growth: Path) -> TaxUnits:
    """Read the three files and age every amount to :data:`YEAR`.

    Raises:
        InputError: a file is missing, lacks a column, or the row counts differ.
    """
    factors = growth_factors(growth, FILE_YEAR, YEAR)
    columns = _read_csv(microdata, (*KEYS, *STRUCTURE, *RECEIPTS, *GROWTH))
    (weight,) = _read_csv(weights, (f"WT{YEAR}",)).values()
    if len(weight) != len(columns["h_seq"]):
        raise InputError(
            f"{weights}: rows: expected {len(columns['h_seq'])}, one per row of {microdata.name}, found {len(weight)}"
        )
    return tax_units(columns, weight / 100, factors)


def tax_units(columns: Mapping[str, np.ndarray], weight: np.ndarray, factors: Mapping[str, float]) -> TaxUnits:
    """Order, number and age tax units.

    Args:
        columns: every column of :data:`KEYS`, :data:`STRUCTURE`, :data:`RECEIPTS` and :data:`GROWTH`, int64 (n,).
        weight: tax units represented, float64 (n,).
        factors: growth factor name → growth from :data:`FILE_YEAR` to :data:`YEAR`.
    """
    order = np.lexsort([columns[name] for name in ("a_lineno", "h_seq", "FLPDYR")])
    sorted_columns = {name: values[order] for name, values in columns.items()}
    changes = np.zeros(len(order), dtype=bool)
    for name in ("FLPDYR", "h_seq"):
        changes[1:] |= np.diff(sorted_columns[name]) != 0
    largest = np.zeros(len(order))
    for name, (gain, loss) in GROWTH.items():
        values = sorted_columns[name].astype(np.float64)
        np.maximum(largest, np.abs(values), out=largest)
        sorted_columns[name] = values * np.where(values >= 0, factors[gain], factors[loss])
    spouse = (sorted_columns["age_spouse"] > 0) | (sorted_columns["MARS"] == 2)
    return TaxUnits(
        columns=sorted_columns,
        household=np.cumsum(changes),
        dependents=_dependents(sorted_columns),
        spouse=spouse,
        largest=largest,
        weight=weight[order],
    )


def growth_factors(path: Path, start: int, end: int) -> dict[str, float]:
    """Cumulated growth from ``start`` to ``end`` by factor name.

    Raises:
        InputError: missing, a year or factor is missing, or a cell is no number.
    """
    try:
        rows = {int(row.pop("YEAR")): row for row in read_table(path)[1]}
        names = sorted({name for pair in GROWTH.values() for name in pair})
        years = range(start + 1, end + 1)
        return {name: float(np.prod([float(rows[y][name]) for y in years])) for name in names}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: expected a CSV of growth factors for {start + 1}-{end}, found {error}. Fetch it again with "
            "scripts/fetch_public_file.py."
        ) from error


def _dependents(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Counts by :data:`BANDS`. ``nu18``, ``n1820``, ``n21`` count head and spouse too; ``nu06``, ``nu13`` do not."""
    head, spouse = columns["age_head"], columns["age_spouse"]
    has_spouse = spouse > 0
    minors = columns["nu18"] - (head < ADULT) - (has_spouse & (spouse < ADULT))
    young = columns["n1820"] - _between(head, 18, 20) - _between(spouse, 18, 20)
    older = columns["n21"] - (head >= 21) - (spouse >= 21)
    small, below_13 = columns["nu06"], columns["nu13"]
    # Children under 17 qualify for the child tax credit, so the other minors are 17.
    seventeen = np.clip(minors - columns["n24"], 0, minors - below_13)
    elderly = np.minimum(columns["elderly_dependents"], older)
    bands = (
        small,
        below_13 - small,
        minors - below_13 - seventeen,
        seventeen,
        young,
        older - elderly,
        elderly,
    )
    return np.maximum(np.stack(bands, axis=1).astype(np.int64), 0)


def _between(age: np.ndarray, low: int, high: int) -> np.ndarray:
    return (age >= low) & (age <= high)


def _read_csv(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    options = pa_csv.ConvertOptions(include_columns=list(names), column_types={name: pa.int64() for name in names})
    try:
        table = pa_csv.read_csv(path, convert_options=options)
        return {name: table[name].to_numpy() for name in names}
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: expected a CSV of whole numbers with the columns {', '.join(names)}, found "
            f"{str(error).splitlines()[0]}. Fetch it again with scripts/fetch_public_file.py."
        ) from error
