"""The columns that every area file of a run must have, from the prepared inputs."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from local_h5.build.writer import dtype_name
from local_h5.inputs.geography.block_table import GEOID_COLUMNS, BlockTable
from local_h5.inputs.membership import HOUSEHOLD, PERSON, Membership
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.snapshot import SourceSnapshot


class ExpectedColumn(Struct, frozen=True):
    """Entity, dtype and periods of a variable in every file of the run."""

    entity: str
    dtype: str
    periods: tuple[str, ...]


class Places(Struct, frozen=True):
    """Facts of a run about each block.

    Attributes:
        blocks: codes of each block.
        snapshot: knows the model's counties.
    """

    blocks: BlockTable
    snapshot: SourceSnapshot


class CommonSchema(Struct, frozen=True):
    """Facts that hold for every file of a run.

    Attributes:
        columns: by variable: stored variables, ids and links, geography, take-up, the weight,
            inputs by state.
        membership: of the source; ids and links follow from it.
        places: of the run's blocks.
    """

    columns: Mapping[str, ExpectedColumn]
    membership: Membership
    places: Places


def common_schema(inputs: PreparedInputs) -> CommonSchema:
    """The schema of all files that are built from ``inputs``."""
    snapshot, year = inputs.snapshot, (str(inputs.snapshot.year),)
    stored: dict[str, ExpectedColumn] = {}
    for column in snapshot.columns:
        values = snapshot.vocabularies[column.variable] if column.coded else snapshot.matrices[column.matrix]
        periods = stored[column.variable].periods if column.variable in stored else ()
        stored[column.variable] = ExpectedColumn(column.entity, dtype_name(values.dtype), (*periods, column.period))
    entities = list(snapshot.n_rows)
    dtypes = {
        **{name: f"S{width}" for name, width in GEOID_COLUMNS.items()},
        "zip_code": "S5",
        **dict.fromkeys(("state_fips", "congressional_district_geoid"), "int32"),
        "county": dtype_name(np.asarray(snapshot.county_name).dtype),
    }
    columns = {
        **{name: ExpectedColumn(c.entity, c.dtype, tuple(sorted(c.periods))) for name, c in stored.items()},
        **{f"{entity}_id": ExpectedColumn(entity, "int32", year) for entity in entities},
        **{f"person_{entity}_id": ExpectedColumn(PERSON, "int32", year) for entity in entities if entity != PERSON},
        **{name: ExpectedColumn(HOUSEHOLD, dtypes[name], year) for name in inputs.blocks.columns},
        **{
            name: ExpectedColumn(HOUSEHOLD, dtype_name(field.values.dtype), year)
            for name, field in inputs.blocks.fields.items()
        },
        "household_weight": ExpectedColumn(HOUSEHOLD, "float32", year),
        **{item.variable: ExpectedColumn(item.entity, "bool", year) for item in inputs.takeup.programmes},
        **{item.variable: ExpectedColumn(PERSON, "float32", year) for item in snapshot.state_values},
    }
    return CommonSchema(columns, snapshot.membership, Places(inputs.blocks, snapshot))
