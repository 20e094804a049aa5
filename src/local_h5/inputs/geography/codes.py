"""Geographic codes as integers. Columns of text or integers are parsed chunk by chunk.

A code column is a sequence of one-dimensional chunks, so that ten million rows of fixed-width text never have to be
in memory together. Accepted are text (``<U``, ``|S``, or Python strings in an object array) of an allowed number of
digits, and integers; both are unambiguous. An empty text, ``None`` or the integer 0 is "no code", written 0.
Other entries are errors; the message has their number and examples.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5 import us
from local_h5.errors import InputError

_MAX_TEXT = 32
"""Longest text that is parsed. Longer ones are no codes."""

_EXAMPLES = 3


class CodeKind(Struct, frozen=True):
    """What the codes of one column look like."""

    name: str
    digits: tuple[int, ...]
    """Numbers of digits a text may have."""
    below_state: int
    """The state's FIPS code is the code divided by this."""

    @property
    def dtype(self) -> type[np.signedinteger]:
        """Smallest of int32 and int64 that holds such a code."""
        return np.int32 if max(self.digits) < 10 else np.int64

    @property
    def described(self) -> str:
        return f"{self.name} codes as text of {' or '.join(map(str, self.digits))} digits or as integers"


BLOCK = CodeKind("census block", (15,), 10**13)
COUNTY = CodeKind("county FIPS", (4, 5), 1000)
DISTRICT = CodeKind("congressional district", (3, 4), 100)
STATE = CodeKind("state FIPS", (1, 2), 1)

_IS_STATE = np.zeros(100, dtype=np.bool_)
_IS_STATE[list(us.STATE_POSTAL)] = True


def is_state(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of ``codes`` are FIPS codes of a state or of the District of Columbia."""
    inside = (codes >= 0) & (codes < _IS_STATE.size)
    return inside & _IS_STATE[np.where(inside, codes, 0)]


def normalise_districts(codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """:func:`local_h5.us.normalise_district` for a whole array; 0 (no district) stays 0."""
    result = codes.astype(np.int32)
    at_large = np.isin(result % 100, list(us.AT_LARGE_NUMBERS)) & (result != 0)
    result[at_large] += 1 - result[at_large] % 100
    return result


_AT_LARGE = np.zeros(100, dtype=np.bool_)
_AT_LARGE[[us.STATE_FIPS[state] for state in us.AT_LARGE_STATES]] = True


def at_large(codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which of normalised district codes are at-large seats."""
    return _AT_LARGE[codes // 100] & (codes % 100 == 1)


def written_districts(codes: NDArray[np.integer], spelling: us.AtLargeCode | Mapping[int, int]) -> NDArray[np.int32]:
    """Normalised district codes as a file has them. Nothing else decides how a file writes an at-large seat.

    Args:
        codes: (n,) normalised; ``100 * state`` where the district is not known, which is written 0.
        spelling: the two digits for at-large seats, or normalised code → the code to write instead.

    Returns:
        (n,) codes.
    """
    result = codes.astype(np.int32)
    if isinstance(spelling, str):
        result[at_large(codes)] += int(spelling) - 1
    else:
        for code, own in spelling.items():
            if own != code:
                result[codes == code] = own
    result[codes % 100 == 0] = 0
    return result


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted distinct values. The array is overwritten.

    ``np.unique`` hashes, which is several times slower, and imports ``numpy.ma``, a tenth of the cost of an area job.
    """
    values.sort()
    first = np.ones(values.size, dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def as_column(values: object, where: str, field: str) -> NDArray[np.generic]:
    """``values`` (array, list or anything numpy can read) as a one-dimensional array of text, integers or objects.

    Raises:
        InputError: it is a scalar, has several dimensions, or (unless empty) another type than text or integers.
    """
    column = np.asarray(values)
    check_form(column.shape, column.dtype, where, field)
    return column


def check_form(shape: tuple[int, ...], dtype: np.dtype[np.generic], where: str, field: str) -> None:
    """Refuse a column that cannot hold codes, before any of it is read.

    Raises:
        InputError: it is a scalar, has several dimensions, or (unless empty) is neither text of at most 32 characters,
            nor integer, nor object.
    """
    if len(shape) != 1:
        raise InputError(
            f"{where}: {field}: expected a one-dimensional array with one code per household clone, found an "
            f"array of shape {shape}. Give one code per row, clone after clone."
        )
    text_width = {"U": dtype.itemsize // 4, "S": dtype.itemsize}.get(dtype.kind)
    if shape[0] and dtype.kind not in "iuO" and (text_width is None or text_width > _MAX_TEXT):
        raise InputError(
            f"{where}: {field}: expected text of at most {_MAX_TEXT} characters, or integers, found dtype {dtype.str}"
            ". Store codes as text with leading zeros."
        )


def parse_codes(
    chunks: Iterable[NDArray[np.generic]], rows: int, kind: CodeKind, where: str, field: str
) -> NDArray[np.integer]:
    """All codes of a column as integers of ``kind.dtype``; no code is 0.

    Args:
        chunks: the column's rows in order, one-dimensional arrays.
        rows: how many rows the chunks have together.
        kind: what the codes look like.
        where: file or argument, for errors.
        field: name of the column, for errors.

    Raises:
        InputError: some row is not such a code, with the count and the first examples.
    """
    result = np.zeros(rows, dtype=kind.dtype)
    wrong_total = 0
    examples: list[str] = []
    start = 0
    for chunk in chunks:
        values, wrong = _parse_chunk(chunk, kind)
        wrong |= (values != 0) & ~is_state(values // kind.below_state)
        result[start : start + chunk.size] = values
        count = int(np.count_nonzero(wrong))
        if count:
            wrong_total += count
            for row in np.flatnonzero(wrong)[: _EXAMPLES - len(examples)]:
                examples.append(f"{_shown(chunk[row])} in row {start + int(row)}")
        start += chunk.size
    if wrong_total:
        raise InputError(
            f"{where}: {field}: expected {kind.described}, beginning with a state, found {wrong_total:,} of "
            f"{rows:,} rows that are none, such as {', '.join(examples)}. Correct these rows; text codes keep "
            "their leading zeros."
        )
    return result


def _parse_chunk(chunk: NDArray[np.generic], kind: CodeKind) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Codes, and which rows are none."""
    if chunk.dtype.kind in "iu":
        # A leading zero is all that an integer can have lost, and the state decides whether there was one.
        value = chunk.astype(np.int64)
        wrong = (value < 0) | (value >= 10 ** max(kind.digits))
        return np.where(wrong, 0, value), wrong
    if chunk.dtype.kind == "O":
        items = chunk.tolist()
        chunk = _joined(items if set(map(type, items)) == {str} else [_text_of(item, kind) for item in items])
    text = np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("="))
    length = np.strings.str_len(text)
    value, wrong = np.zeros(text.size, dtype=np.int64), ~np.isin(length, (0, *kind.digits))
    characters = text.view(np.uint32 if text.dtype.kind == "U" else np.uint8).reshape(text.size, -1)
    for position, character in enumerate(np.ascontiguousarray(characters.T)):
        used = position < length
        digit = character - character.dtype.type(ord("0"))  # unsigned: what is no digit becomes more than 9
        wrong |= used & (digit > 9)
        value = np.where(used, value * 10 + digit, value)
    wrong |= (length > 0) & (value == 0)
    return np.where(wrong, 0, value), wrong


def _joined(texts: list[str]) -> NDArray[np.str_ | np.bytes_]:
    """The texts as an array. Those of one length, as whole columns have, take a third of the time that numpy takes."""
    width = len(texts[0])
    if 0 < width <= _MAX_TEXT and set(map(len, texts)) == {width} and (joined := "".join(texts)).isascii():
        return np.frombuffer(joined.encode(), dtype=f"S{width}")
    return np.array([text if len(text) <= _MAX_TEXT else "?" for text in texts], dtype=np.str_)


def _text_of(item: object, kind: CodeKind) -> str:
    """Text of one entry of an object array; ``?`` where it is neither text nor integer."""
    if isinstance(item, str):
        return str(item)
    if item is None:
        return ""
    if isinstance(item, bytes):
        return item.decode("ascii", errors="replace")
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return str(item).zfill(max(kind.digits)) if item else ""
    return "?"


def _shown(item: object) -> str:
    text = repr(item.item() if isinstance(item, np.generic) else item)
    return text if len(text) <= 40 else f"{text[:37]}..."
