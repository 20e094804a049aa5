"""Stata files (.dta, format 118, Stata 14 and later), written by pandas, with notes added.

The same rows and labels give the same bytes: the file's own time is a fixed one.
"""

import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.stata import StataWriterUTF8  # type: ignore[attr-defined]

from pe_data.errors import InputError
from pe_data.exports.table import EXACT, Field, Table
from pe_data.texts import cut

LABEL = 80
"""Characters of a label of a variable or of the data."""
COLUMNS = 32_767
"""Most variables of a file of this format."""
WRITTEN = datetime(2000, 1, 1)
"""Stands in every file as the time when it was written."""
BYTE, INT, LONG = 100, 32_740, 2_147_483_620
"""Largest value of each type of integer; above it are the missing values."""
_FLOAT = float.fromhex("0x1.fffffep+126")
_DOUBLE = float.fromhex("0x1.fffffffffffffp+1022")
YES_NO: dict[float, str] = {0: "no", 1: "yes"}


def write_stata(table: Table, path: Path, names: dict[str, str], heading: str, notes: Sequence[str], what: str) -> None:
    """Write one table.

    Args:
        table: What to write.
        path: A new file.
        names: Column → name in the file, as `pe_data.exports.names.STATA` admits it.
        heading: Label of the data.
        notes: Notes of the data, which `notes` in Stata shows.
        what: Where the table is from, for messages.

    Raises:
        InputError: something that Stata cannot hold exactly.
    """
    if len(names) > COLUMNS:
        raise InputError(
            f"{what}: {table.name}: expected at most {COLUMNS} columns for Stata, found {len(names)}. Name the "
            "columns that you want (--variables)"
        )
    columns: dict[str, Any] = {}
    labels: dict[str, str] = {}
    values: dict[Any, dict[float, str]] = {}
    for number, field in enumerate(table.fields):
        name = names[field.name]
        columns[name] = _fitting(table.frame.iloc[:, number], field, f"{what}: {table.name}.{field.name}")
        labels[name] = cut(field.title or (field.name if name != field.name else ""), LABEL)
        if field.kind == "bool":
            values[name] = dict(YES_NO)
        elif field.values:
            values[name] = dict(zip(map(float, range(len(field.values))), field.values, strict=True))
    writer = _Writer(
        path,
        pd.DataFrame(columns),
        write_index=False,
        time_stamp=WRITTEN,
        data_label=cut(heading, LABEL),
        variable_labels={name: label for name, label in labels.items() if label},
        value_labels=values,
        version=118,
        byteorder="little",
    )
    writer.notes = notes
    writer.write_file()
    if not writer.noted:
        raise AssertionError("expected pandas to write the part of the file that has notes, found that it did not")


def _fitting(series: pd.Series, field: Field, what: str) -> pd.Series:
    """The column in a type of Stata that holds each value exactly, and none of them as a missing value."""
    if field.kind == "bool":
        return series.astype("boolean").astype("Int8")
    if field.kind == "int":
        if field.largest > EXACT:
            raise InputError(
                f"{what}: expected integers up to 2^53 for Stata, which holds larger ones as doubles, found "
                f"{field.largest}. Export to csv, parquet or duckdb, or leave the column out"
            )
        return (
            series.astype("Float64").astype("float64") if field.largest > LONG else series.astype(_whole(field.largest))
        )
    if field.kind == "float":
        return _real(series, what)
    if field.kind == "text":
        return _coded(series, field) if field.values else _text(series, what)
    raise InputError(
        f"{what}: expected truth values, numbers or text for Stata, found {field.dtype}. Export to parquet or duckdb, "
        "or leave the column out"
    )


def _whole(largest: int) -> Any:
    return "Int8" if largest <= BYTE else "Int16" if largest <= INT else "Int32"


def _real(series: pd.Series, what: str) -> pd.Series:
    import numpy as np

    single = str(series.dtype).lower() == "float32"
    values = series.astype("float32" if single else "float64").to_numpy()
    if single and np.nanmax(np.abs(values), initial=0) > _FLOAT:
        values = values.astype("float64")
    wrong = np.abs(values.astype("float64")) > _DOUBLE
    if wrong.any():
        raise InputError(
            f"{what}: expected numbers up to {_DOUBLE:.3e} for Stata, found {values[wrong][0]}. Export to csv, parquet "
            "or duckdb, or leave the column out"
        )
    return type(series)(values)


def _coded(series: pd.Series, field: Field) -> pd.Series:
    """Places in the list of values, from 0; missing where there is no text."""
    place = {value: number for number, value in enumerate(field.values)}
    return series.map(place).astype(_whole(len(place)))


def _text(series: pd.Series, what: str) -> pd.Series:
    text = series.astype(object).where(series.notna(), "")
    if text.map(lambda one: "\0" in one).any():
        raise InputError(f"{what}: expected text for Stata, found a character of code 0. Leave the column out")
    return text


# --- notes ----------------------------------------------------------------------------------------

_NAME = 129
_NOTE = 67_784
"""Bytes of a note."""


class _Writer(StataWriterUTF8):  # type: ignore[misc]
    """With notes: they stand in the part of the file that is called characteristics, which pandas leaves empty."""

    notes: Sequence[str] = ()
    noted = False

    def _write_characteristics(self) -> None:
        self._update_map("characteristics")
        self._write_bytes(self._tag(_characteristics(self.notes), "characteristics"))
        self.noted = True


def _characteristics(notes: Sequence[str]) -> bytes:
    """The number of notes, and each of them, as characteristics of the data."""
    if not notes:
        return b""
    rows = [("note0", str(len(notes))), *((f"note{number}", note) for number, note in enumerate(notes, 1))]
    return b"".join(_characteristic(name, text) for name, text in rows)


def _characteristic(name: str, text: str) -> bytes:
    told = text.encode()[:_NOTE].decode(errors="ignore").encode() + b"\0"
    body = b"_dta".ljust(_NAME, b"\0") + name.encode().ljust(_NAME, b"\0") + told
    return b"<ch>" + struct.pack("<I", len(body)) + body + b"</ch>"
