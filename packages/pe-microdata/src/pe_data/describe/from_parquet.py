"""Read columns and lengths from the footer of a Parquet file with pyarrow."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pe_data.describe.columns import PERSON, Column, Content, normal_dtype
from pe_data.errors import InputError

ENTITY_KEY = b"pe_data.entity"
"""Key of the footer's metadata that names the entity of the rows."""
YEARS_KEY = b"pe_data.years"
"""Key of the footer's metadata with the years that the rows cover, blank-separated."""


def read_parquet(path: Path) -> Content:
    """Columns, rows and years of `path`; every column belongs to one entity.

    The entity is the one in the footer, else `person` if there is a `person_id`, else the one whose id column comes
    first, else `row`. Raises InputError.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not readable as Parquet: {error}") from error
    fields = [f for f in schema if not f.name.startswith("__index_level_")]
    entity = _entity([f.name for f in fields], schema.metadata or {})
    columns = tuple(Column(f.name, entity, _dtype(f.type)) for f in fields)
    years = (schema.metadata or {}).get(YEARS_KEY, b"").decode().split()
    return Content(columns, {entity: rows}, tuple(int(y) for y in years if len(y) == 4 and y.isdecimal()))


def _entity(names: list[str], metadata: Mapping[bytes, bytes]) -> str:
    if ENTITY_KEY in metadata:
        return metadata[ENTITY_KEY].decode()
    if f"{PERSON}_id" in names:
        return PERSON
    ids = [n.removesuffix("_id") for n in names if n.endswith("_id")]
    return ids[0] if ids else "row"


def _dtype(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _dtype(kind.value_type)
    return normal_dtype(str(kind))
