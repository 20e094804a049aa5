"""Example calibration package: weights and exact geography in the production forms, drawn instead of calibrated.

Every household is cloned. Each clone row gets a block of its own state by population share, and the rows of a district
are weighted so that its persons are those of the ACS. The draw is systematic along the districts, so each district gets
its share of rows.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from local_h5.errors import ConfigError, InputError
from local_h5.files.atomic import atomic_output, sha256_of, write_text
from local_h5.files.hdf5 import H5_ERRORS, outside
from local_h5.us import normalise_district
from local_h5_example.acs import Population
from local_h5_example.source_h5 import NOTICE, SCHEMA_VERSION

PACKAGE_NOTICE: Mapping[str, str] = {
    **NOTICE,
    "package": "synthetic: blocks drawn at random inside each household's state, weights scaled to the ACS "
    "population of each district; a real package comes from the calibration",
}
"""The notice in the sidecar of the example package."""

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_STREAM = 1


@dataclass(frozen=True, slots=True)
class PackageSettings:
    """How the example package is drawn.

    Attributes:
        clones: clones of every household.
        seed: of every random draw.
        zero_share: share of a district's rows that get weight zero, in [0, 1): in a real package most are zero.
    """

    clones: int = 50
    seed: int = 20240701
    zero_share: float = 0.1


@dataclass(frozen=True, slots=True)
class SourceHouseholds:
    """Facts of the source for the package, by household in file order.

    Attributes:
        state: FIPS, int64 (n,).
        weight: households represented, float64 (n,).
        persons: int64 (n,).
    """

    state: np.ndarray
    weight: np.ndarray
    persons: np.ndarray


@dataclass(frozen=True, slots=True)
class BlockShares:
    """Populated blocks, ordered by (normalised district, block).

    Attributes:
        block: 15-digit GEOID, int64 (B,).
        district: code as in the table (``200`` or ``201`` for an at-large seat), int64 (B,).
        share: of the district's population, float64 (B,).
    """

    block: np.ndarray
    district: np.ndarray
    share: np.ndarray

    def normalised(self) -> np.ndarray:
        """District codes with at-large seats as number 1, int64 (B,)."""
        codes, where = np.unique(self.district, return_inverse=True)
        return np.array([normalise_district(int(code)) for code in codes], dtype=np.int64)[where]


@dataclass(frozen=True, slots=True)
class Package:
    """Weights and geography, clone-major: row ``c * n_households + h``.

    Attributes:
        weights: float64 (n,).
        block: 15-digit GEOID, int64 (n,).
        district: code as in the block table, int64 (n,).
        n_households: of the source.
        n_clones: of every household.
    """

    weights: np.ndarray
    block: np.ndarray
    district: np.ndarray
    n_households: int
    n_clones: int


def read_households(path: Path, year: int) -> SourceHouseholds:
    """Read states, weights and household sizes of a source dataset.

    Raises:
        InputError: unreadable, or a variable is missing.
    """
    try:
        with h5py.File(path, "r") as file:
            elsewhere = outside(file)
            if elsewhere is not None:
                raise InputError(f"{path}: expected a file that holds all of its data, found {elsewhere}")
            ids, state, weight, member = (
                file[f"{name}/{year}"][()]
                for name in ("household_id", "state_fips", "household_weight", "person_household_id")
            )
    except H5_ERRORS as error:
        raise InputError(f"{path}: expected household ids, states, weights and person links, found {error}") from error
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids, member, sorter=order)]
    persons = np.bincount(rows, minlength=len(ids))
    return SourceHouseholds(state.astype(np.int64), weight.astype(np.float64), persons)


def read_block_shares(path: Path) -> BlockShares:
    """Read the block table (``cd_geoid``, ``block_geoid``, ``probability``).

    Raises:
        InputError: missing, or other columns.
    """
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    # GEOIDs are read as integers on purpose: they are formatted with their zeros when written.
    types = {"cd_geoid": pa.int64(), "block_geoid": pa.int64(), "probability": pa.float64()}
    try:
        table = pa_csv.read_csv(
            path, convert_options=pa_csv.ConvertOptions(include_columns=list(types), column_types=types)
        )
        district, block, share = (table[name].to_numpy() for name in types)
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: expected a CSV with the columns {', '.join(types)}, found {str(error).splitlines()[0]}. "
            "Fetch it again with scripts/fetch_public_file.py."
        ) from error
    shares = BlockShares(block, district, share)
    order = np.lexsort((block, shares.normalised()))
    return BlockShares(block[order], district[order], share[order])


def draw_package(
    households: SourceHouseholds,
    blocks: BlockShares,
    districts: Population,
    settings: PackageSettings,
) -> Package:
    """Draw blocks and weights.

    Raises:
        ConfigError: too few rows: a district got none.
        InputError: blocks and population disagree about the districts, or a household's state has no block.
    """
    n_households, n_clones = len(households.state), settings.clones
    if n_clones < 1 or not 0 <= settings.zero_share < 1:
        raise ConfigError(
            f"example: clones, zero_share: expected at least 1, and from 0 to below 1, found {n_clones}, "
            f"{settings.zero_share}"
        )
    normalised = blocks.normalised()
    _check_districts(normalised, districts)
    random = np.random.Generator(np.random.PCG64((settings.seed, _STREAM)))
    place = np.searchsorted(districts.code, normalised)
    population = blocks.share * districts.total[place]

    row_state = np.tile(households.state, n_clones)
    drawn = np.empty(len(row_state), dtype=np.int64)
    for state in np.unique(households.state):
        rows = np.flatnonzero(row_state == state)
        low, high = np.searchsorted(normalised // 100, (state, state + 1))
        if low == high:
            raise InputError(f"block table: state {state}: expected blocks, found none")
        ends = np.cumsum(population[low:high])
        points = (np.arange(len(rows)) + random.random()) * (ends[-1] / len(rows))
        hits = low + np.minimum(np.searchsorted(ends, points, side="right"), high - low - 1)
        drawn[random.permutation(rows)] = hits
    row_district = place[drawn]
    weights = np.tile(households.weight / n_clones, n_clones)
    weights[_zero_rows(row_district, settings.zero_share, random)] = 0.0
    persons = weights * np.tile(households.persons, n_clones)
    reached = np.bincount(row_district, persons, len(districts.code))
    if (reached <= 0).any():
        raise ConfigError(
            "example: households, clones: expected enough rows for every district, found none in "
            f"{', '.join(np.array(districts.area_ids())[reached <= 0][:5])}. Raise example.clones or "
            "example.households."
        )
    weights *= (districts.total / reached)[row_district]
    return Package(weights, blocks.block[drawn], blocks.district[drawn], n_households, n_clones)


def write_package(
    weights_path: Path,
    geography_path: Path,
    metadata_path: Path,
    package: Package,
    settings: PackageSettings,
    measured: Mapping[str, Any],
) -> None:
    """Write the weights (npy), the geography (npz) and, last, the JSON sidecar. Equal content gives equal bytes."""
    with atomic_output(weights_path) as temporary, temporary.open("wb") as stream:
        np.lib.format.write_array(stream, package.weights, version=(1, 0))
    block = _text(package.block, 15)
    arrays = {
        "block_geoid": block,
        "cd_geoid": _text(package.district, 4),
        "county_fips": block.astype("<U5"),
        "state_fips": package.block // 10**13,
        "n_records": np.int64(package.n_households),
        "n_clones": np.int64(package.n_clones),
    }
    with atomic_output(geography_path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, values in arrays.items():
            # numpy.savez stamps the time of writing; entries of a fixed date keep the bytes equal.
            entry = zipfile.ZipInfo(f"{name}.npy", _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(values), version=(1, 0))
    sidecar = {
        "schema_version": SCHEMA_VERSION,
        "notice": dict(PACKAGE_NOTICE),
        "settings": asdict(settings),
        "outputs": {
            path.name: {"sha256": sha256_of(path), "bytes": path.stat().st_size}
            for path in (weights_path, geography_path)
        },
        "measured": dict(measured),
    }
    write_text(metadata_path, json.dumps(sidecar, indent=2, sort_keys=True) + "\n")


def measure(package: Package, households: SourceHouseholds, districts: Population) -> dict[str, Any]:
    """Counts of a package and its error against the district populations, for the sidecar."""
    codes = np.array([normalise_district(int(code)) for code in np.unique(package.district)])
    row = codes[np.unique(package.district, return_inverse=True)[1]]
    place = np.searchsorted(districts.code, row)
    persons = package.weights * np.tile(households.persons, package.n_clones)
    by_district = np.bincount(place, persons, len(districts.code))
    active = np.bincount(place, package.weights > 0, len(districts.code)).astype(np.int64)
    return {
        "rows": len(row),
        "active_rows": int(active.sum()),
        "distinct_blocks": len(np.unique(package.block)),
        "districts": int((active > 0).sum()),
        "active_rows_per_district": {
            "min": int(active.min()),
            "median": float(np.median(active)),
            "max": int(active.max()),
        },
        "weighted_households": float(package.weights.sum()),
        "weighted_persons": float(persons.sum()),
        "largest_population_error": float(np.max(np.abs(by_district / districts.total - 1))),
    }


def _check_districts(normalised: np.ndarray, districts: Population) -> None:
    different = np.setxor1d(normalised, districts.code)
    if len(different):
        raise InputError(
            f"block table: cd_geoid: expected the {len(districts.code)} districts of the population table, found "
            f"{len(different)} in one of the two only, such as {different[0]}. Use the block table and the "
            "population of the same Congress."
        )


def _zero_rows(district: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Rows to be zero: ``share`` of each district's, rounded down, so that at least one stays."""
    order = np.lexsort((random.random(len(district)), district))
    ordered = district[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    count = np.bincount(district)
    zero: np.ndarray = order[rank < np.floor(count * share)[ordered]]
    return zero


def _text(codes: np.ndarray, width: int) -> np.ndarray:
    """Decimal text with leading zeros, ``<U{width}``."""
    digits = codes[:, None] // 10 ** np.arange(width - 1, -1, -1, dtype=np.int64) % 10
    return (digits + ord("0")).astype("<u4").view(f"<U{width}")[:, 0]
