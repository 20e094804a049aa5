"""How a size, a table or a text of somebody else is written for a person."""

from collections.abc import Iterable


def printable(text: str) -> str:
    """One line for a terminal: whatever would move its cursor, rename its window or turn text round is spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and `…`: at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def text_table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Left-aligned columns with a header, two blanks apart; cells are `printable`."""
    lines = [header, *(tuple(map(printable, row)) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    texts = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(texts)


def human_size(size: int) -> str:
    """`1.4 MB`; decimal units."""
    value, units = float(size), ("bytes", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if value < 1000:
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {units[-1]}"
