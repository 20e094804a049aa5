"""CSV and Parquet files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from pe_data.exports.table import Table


def write_csv(table: Table, path: Path) -> None:
    """UTF-8, a header, a line feed after each row. Numbers have the fewest digits that give them back.

    Missing values, and text of no characters, are empty cells.
    """
    alone = any(f.kind == "text" and table.frame[f.name].str.contains("\r", regex=False).any() for f in table.fields)
    table.frame.to_csv(
        path,
        index=False,
        encoding="utf-8",
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if alone else csv.QUOTE_MINIMAL,  # which leaves a lone carriage return bare
    )


def write_parquet(table: Table, path: Path, years: tuple[int, ...], about: Sequence[str]) -> None:
    """Parquet whose footer says entity and years, so that it can be described again, and what its columns mean.

    Args:
        table: What to write.
        path: Where to.
        years: That the table covers; empty if nobody knows.
        about: Lines that are said of the whole, for the footer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pe_data.describe.from_parquet import ENTITY_KEY, YEARS_KEY

    plain = pa.Table.from_pandas(table.frame, preserve_index=False)
    fields = []
    for field, arrow in zip(table.fields, plain.schema, strict=True):
        said = field.said
        known = {"label": field.label, "unit": said and said.unit, "description": said and said.description}
        told = {name: text for name, text in known.items() if text}
        if field.values:
            told["values"] = json.dumps(field.values, ensure_ascii=False)
        fields.append(arrow.with_metadata(told) if told else arrow)
    extra = {ENTITY_KEY: table.name.encode(), b"pe_data.about": "\n".join(about).encode()}
    if years:
        extra[YEARS_KEY] = " ".join(map(str, years)).encode()
    schema = pa.schema(fields, metadata=(plain.schema.metadata or {}) | extra)
    pq.write_table(plain.cast(schema), path)
