"""Split the nation's H5 by district: a Parquet file for each entity, and the index of their ranges."""

import sys
from functools import partial
from pathlib import Path

import h5py

from local_h5.build.by_district import DISTRICT, STATE, ByDistrict
from local_h5.contracts.results import read_sidecar
from local_h5.errors import ResultError
from local_h5.files.atomic import sha256_of
from local_h5.files.hdf5 import H5_ERRORS
from local_h5.workflow.command import run

try:
    import pyarrow as pa

    from pe_data.errors import PeDataError
    from pe_data.names.digests import Sha256
    from pe_data.write.by_area import Split, write_by_area
except ModuleNotFoundError as error:  # a distribution of its own, which the workflow alone does not need
    sys.exit(
        f"pe_data: expected the distribution pe-microdata with its extra frames, found no package {error.name}. "
        "Install it from packages/pe-microdata of this project, or set output.nation_parquet: false."
    )

STATISTICS = ("household_id", STATE, DISTRICT, "county_fips", "puma")
"""Columns by which a query on the files may leave out row groups."""


def split_nation(path_to_h5: Path, path_to_sidecar: Path, path_to_folder: Path) -> None:
    """Split the nation's file by district: a Parquet file for each entity, and the index of their ranges.

    Args:
        path_to_h5: the nation's file.
        path_to_sidecar: its result sidecar, which has the entity of each variable.
        path_to_folder: folder to write to; files of the same names are replaced.

    Raises:
        ResultError: the H5 is not the one of its sidecar, or cannot be split.
        PeDataError: the folder cannot be written.
    """
    result = read_sidecar(path_to_sidecar)
    found = sha256_of(path_to_h5)
    if found != result.output.sha256:
        raise ResultError(
            f"{path_to_h5}: expected sha256 {result.output.sha256}, as its sidecar says, found {found}. Build it again."
        )
    try:
        with h5py.File(path_to_h5) as file:
            rows = ByDistrict(file, result, path_to_h5)
            tables = {entity: partial(table_of, rows, entity) for entity in result.rows}
            splits = [Split(one.state, one.district, one.rows) for one in rows.districts()]
            source, years = Sha256(found), (result.period,)
            write_by_area(path_to_folder, tables, splits, years=years, source=source, statistics=STATISTICS)
    except H5_ERRORS as error:
        raise ResultError(f"{path_to_h5}: expected a file that can be read, found {error}. Build it again.") from error


def table_of(rows: ByDistrict, entity: str) -> pa.Table:
    """All columns of an entity; fixed-width text becomes UTF-8."""
    arrays = {name: pa.array(values) for name, values in rows.columns(entity)}
    return pa.table({name: x.cast(pa.string()) if pa.types.is_binary(x.type) else x for name, x in arrays.items()})


if __name__ == "__main__":
    run(split_nation, errors=(PeDataError,))
