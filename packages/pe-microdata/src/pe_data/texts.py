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


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, numbers: bool = False) -> list[str]:
    """A header and rows as lines, columns two blanks apart; cells are `printable`.

    Args:
        numbers: Whether columns of numbers stand to the right; the first one never does.
    """
    lines = [tuple(map(printable, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [
        numbers and at > 0 and any(c.isdigit() for line in lines[1:] for c in line[at][:2]) for at in range(len(header))
    ]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]


def human_size(size: int) -> str:
    """`1.4 MB`; decimal units."""
    from rich.filesize import decimal  # on use: whoever reads an address needs this module too

    return decimal(size)
