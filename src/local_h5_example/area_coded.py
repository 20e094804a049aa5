"""An area-coded file of the example: one file for the nation, as the producer of today's datasets publishes it.

Made from the nation's file of the example, and written by the country model's own class. Some households know no more
of their place than their PUMA, and some no county, as in real files.
"""

from pathlib import Path

import h5py
import numpy as np

from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.errors import InputError, ModelError
from local_h5.files.atomic import atomic_output
from local_h5.inputs.area_columns import area_columns_of

FINER = frozenset(
    {"block_geoid", "tract_geoid", "county", "zip_code", "sldu", "sldl", "vtd", "zcta", "place_fips", "cbsa_code"}
)
"""Place columns that such a file does not have."""

NO_DISTRICT_EVERY, NO_COUNTY_EVERY = 97, 41
"""One household in so many does not know its district and county, or its county alone."""

_LARGE = 50
"""Only households of districts with more households are left without one."""

Columns = dict[str, dict[str, np.ndarray]]
"""Entity → column → values."""


def write_area_coded(nation: Path, output: Path) -> None:
    """Write an area-coded file.

    Args:
        nation: the nation's H5 of the example, with its sidecar.
        output: the file to write.

    Raises:
        ModelError: the model is not installed.
        InputError: the nation's file is not one of the example.
    """
    try:
        import pandas as pd
        from policyengine_us.data.dataset_schema import USSingleYearDataset
    except ImportError as error:
        raise ModelError(
            f"policyengine_us: expected the installed model, found {error}. Install the extra 'model' of local-h5."
        ) from error
    year, columns = _read(nation)
    columns["household"] |= coarser_places(columns["household"])
    dataset = USSingleYearDataset(
        **{entity: pd.DataFrame(table) for entity, table in columns.items()}, time_period=year
    )
    with atomic_output(output) as temporary:
        dataset.save(str(temporary))


def coarser_places(household: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The places of an area-coded file: at-large seats as 00, some households without district or county."""
    district = household["congressional_district_geoid"].astype(np.int64)
    state = district // 100
    several = np.unique(state[district % 100 > 1])
    district = np.where(np.isin(state, several), district, state * 100)
    codes, place, rows = np.unique(district, return_inverse=True, return_counts=True)
    number = np.arange(len(district))
    without = (number % NO_DISTRICT_EVERY == 0) & (rows[place] > _LARGE) & (codes[place] > 0)
    county = household["county_fips"].copy()
    county[without | (number % NO_COUNTY_EVERY == 0)] = ""
    return {"congressional_district_geoid": np.where(without, 0, district), "county_fips": county}


def _read(nation: Path) -> tuple[int, Columns]:
    sidecar = read_sidecar(sidecar_path(nation))
    columns: Columns = {}
    with h5py.File(nation, "r") as file:
        stored = area_columns_of(nation, file)
        for column in sidecar.columns:
            if column.variable in FINER:
                continue
            parts = [stored.read(column.variable, period) for period in column.periods]
            if parts[0].dtype.kind == "f":
                values = np.sum(parts, axis=0)
            elif all(np.array_equal(part, parts[0]) for part in parts):
                values = parts[0]
            else:
                raise InputError(
                    f"{nation}: {column.variable}: expected one value for all months, found several. Build the nation "
                    "of the example."
                )
            if values.dtype.kind == "S":
                values = np.array([text.decode("utf-8") for text in values.tolist()], dtype=object)
            columns.setdefault(column.entity, {})[column.variable] = values
    return sidecar.period, columns
