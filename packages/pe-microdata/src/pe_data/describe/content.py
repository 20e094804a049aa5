"""What the reader of one file format returns; the manifest is built from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pe_data.describe.columns import Column
from pe_data.documents.dictionary import Variable


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, read from its metadata."""

    columns: tuple[Column, ...]
    rows: Mapping[str, int]
    """Entity → number of rows."""
    years: tuple[int, ...]
    """Empty if the file does not say."""
    dictionary: tuple[Variable, ...] = ()
    """What the file says of its columns."""
