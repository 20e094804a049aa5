"""One DuckDB file with a table for each entity (extra `duckdb`).

The bytes of two such files differ even where all rows are equal: DuckDB gives each file an identity of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pe_data.exports.table import Table

ABOUT, COLUMNS, VALUES = "_about", "_columns", "_values"
"""Tables beside those of the entities: what is said of the whole, what each column means, and the lists of values."""


def write_duckdb(
    tables: Sequence[Table],
    path: Path,
    table_names: Mapping[str, str],
    column_names: Mapping[str, Mapping[str, str]],
    about: Iterable[tuple[str, str]],
) -> None:
    """Write all tables.

    Args:
        tables: What to write.
        path: A file that is not there.
        table_names: Table → its name in the file.
        column_names: Table → column → its name in the file.
        about: Kind and text of each line that is said of the whole.
    """
    import duckdb
    import pyarrow as pa

    told, listed = [], []
    with duckdb.connect(str(path)) as database:
        for table in tables:
            name = table_names[table.name]
            frame = pa.Table.from_pandas(table.frame, preserve_index=False)
            names = [column_names[table.name][field.name] for field in table.fields]
            _create(database, name, frame.rename_columns(names).replace_schema_metadata(None))
            for field, column in zip(table.fields, names, strict=True):
                said = field.said
                more = (said.unit, said.description) if said else (None, None)
                told.append((name, column, field.name, field.label, *more))
                listed += [(name, column, number, value) for number, value in enumerate(field.values)]
                if field.title:
                    where = f"{_quoted(name)}.{_quoted(column)}"
                    database.execute(f"COMMENT ON COLUMN {where} IS {_text(field.title)}")
        for name, columns, rows in (
            (ABOUT, ("kind", "text"), about),
            (COLUMNS, ("table_name", "column_name", "variable", "label", "unit", "description"), told),
            (VALUES, ("table_name", "column_name", "number", "value"), listed),
        ):
            schema = pa.schema([(one, pa.int32() if one == "number" else pa.string()) for one in columns])
            content = [dict(zip(columns, row, strict=True)) for row in rows]
            _create(database, name, pa.Table.from_pylist(content, schema))


def _create(database: Any, name: str, rows: Any) -> None:
    database.register("rows_of_it", rows)
    database.execute(f"CREATE TABLE {_quoted(name)} AS SELECT * FROM rows_of_it")
    database.unregister("rows_of_it")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
