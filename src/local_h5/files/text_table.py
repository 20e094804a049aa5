"""Small CSV tables: UTF-8 with or without a byte order mark, any line ends."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path


def read_text(path: Path) -> str:
    """A file's text, without the byte order mark that spreadsheets write.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8; the message says where.
    """
    try:
        return path.read_bytes().decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"bytes that are no UTF-8 in line {line}; save the table as UTF-8") from None


def read_table(path: Path, columns: Sequence[str] = ()) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The header and the rows of a CSV table; empty lines are left out.

    Args:
        path: the table.
        columns: that it must have, among others.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8, lacks a column or names one twice, or a row has more or fewer cells than the header.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise ValueError(f"{error} in line {reader.line_num}") from error
    header = tuple(lines[0][1]) if lines else ()
    missing = [name for name in columns if name not in header]
    if missing or len(set(header)) != len(header):
        raise ValueError(f"the columns {', '.join(header) or '(none)'}")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells in line {number}, where the header has {len(header)}")
    return header, [dict(zip(header, row, strict=True)) for _, row in lines[1:]]
