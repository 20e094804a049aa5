"""Split the nation's H5 by district: a Parquet file for each entity, and the index of their ranges."""

import sys
from functools import partial
from pathlib import Path

import h5py

from local_h5.build.by_district import DISTRICT, STATE, ByDistrict
from local_h5.config.settings import Settings
from local_h5.contracts.results import read_sidecar, sidecar_path
from local_h5.errors import ResultError
from local_h5.files.atomic import sha256_of
from local_h5.files.hdf5 import H5_ERRORS
from local_h5.workflow.command import run

try:
    import pyarrow as pa

    from pe_data.errors import PeDataError
    from pe_data.names.digests import Sha256
    from pe_data.write.by_area import Split, is_split_of, write_by_area
except ModuleNotFoundError as error:  # a distribution of its own, which the workflow alone does not need
    sys.exit(
        f"pe_data: expected the distribution pe-microdata with its extra frames, found no package {error.name}. "
        "Install it from packages/pe-microdata of this project."
    )

NATION = "national/US"
STATISTICS = ("household_id", STATE, DISTRICT, "county_fips", "puma")
"""Columns by which a query on the files may leave out row groups."""


def nation_parquet(path_to_config: Path) -> None:
    """Split the nation's file of a finished run, unless that was done of the same file before.

    Args:
        path_to_config: resolved configuration (JSON).

    Assumes:
        The nation is built and approved.
    """
    results = Settings.read(path_to_config).results
    made = split_nation(results)
    print(f"{results / NATION}: {'split by district' if made else 'already up to date with US.h5'}")


def split_nation(results: Path) -> bool:
    """Write the files beside the nation's H5, if they are not those of its present bytes.

    Args:
        results: folder of the run.

    Returns:
        Whether they were written.

    Raises:
        ResultError: the nation's file is not the one of its sidecar, or cannot be split.
        PeDataError: the folder cannot be written.
    """
    h5, folder = results / f"{NATION}.h5", results / NATION
    result = read_sidecar(sidecar_path(h5))
    found = sha256_of(h5)
    if found != result.output.sha256:
        raise ResultError(
            f"{h5}: expected sha256 {result.output.sha256}, as its sidecar says, found {found}. Build it again."
        )
    source = Sha256(found)
    if is_split_of(folder, source):
        return False
    try:
        with h5py.File(h5) as file:
            rows = ByDistrict(file, result, h5)
            tables = {entity: partial(table_of, rows, entity) for entity in result.rows}
            splits = [Split(one.state, one.district, one.rows) for one in rows.districts()]
            write_by_area(folder, tables, splits, years=(result.period,), source=source, statistics=STATISTICS)
    except H5_ERRORS as error:
        raise ResultError(f"{h5}: expected a file that can be read, found {error}. Build it again.") from error
    return True


def table_of(rows: ByDistrict, entity: str) -> pa.Table:
    """All columns of an entity; fixed-width text becomes UTF-8."""
    arrays = {name: pa.array(values) for name, values in rows.columns(entity)}
    return pa.table({name: x.cast(pa.string()) if pa.types.is_binary(x.type) else x for name, x in arrays.items()})


if __name__ == "__main__":
    run(nation_parquet, errors=(PeDataError,))
