"""Writing an area file. Equal content gives equal bytes, and a file under its final name is complete."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from msgspec import Struct

from local_h5.build.payload import PayloadColumn
from local_h5.contracts.results import WrittenColumn
from local_h5.errors import WriteError
from local_h5.files.atomic import atomic_output, sha256_of
from local_h5.files.hdf5 import Datasets, create_h5

Compression = Literal["none", "gzip", "lzf"]


class WrittenFile(Struct, frozen=True):
    """Digest, size and columns of the written file."""

    sha256: str
    size_bytes: int
    columns: tuple[WrittenColumn, ...]


def write_h5(
    path: Path,
    columns: Iterable[PayloadColumn],
    *,
    year: int,
    notes: Mapping[str, str] | None = None,
    compression: Compression = "none",
) -> WrittenFile:
    """Write ``columns`` (sorted by variable) as a period-grouped H5, re-read its key facts, then rename it to ``path``.

    Args:
        path: the final file.
        columns: see :func:`local_h5.build.payload.area_columns`.
        year: the file's year.
        notes: root attributes.
        compression: of every dataset.

    Raises:
        WriteError: the disk is full, the folder cannot be written, the first group does not hold ``year`` (the model
            reads the period there), or the file does not read back as written.
    """
    options = {} if compression == "none" else {"compression": compression, "shuffle": True}
    seen: dict[str, WrittenColumn] = {}
    last_ids = {"household_id": (0, 0), "person_id": (0, 0)}
    with atomic_output(path) as temporary:
        with create_h5(temporary) as file:
            file.attrs.update(notes or {})
            datasets = Datasets(file, **options)
            for column in columns:
                values = column.values()
                if column.variable not in seen:
                    group = datasets.group(column.variable)
                    seen[column.variable] = WrittenColumn(column.variable, column.entity, dtype_name(values.dtype), ())
                datasets.put(group, column.period, values)
                done = seen[column.variable]
                seen[column.variable] = WrittenColumn(
                    done.variable, done.entity, done.dtype, (*done.periods, column.period)
                )
                if column.variable in last_ids:
                    last_ids[column.variable] = len(values), int(values[-1])
        _check_first_group(path, seen, year)
        _read_back(path, temporary, seen, last_ids)
        return WrittenFile(sha256_of(temporary), temporary.stat().st_size, tuple(seen.values()))


def dtype_name(dtype: np.dtype) -> str:
    """Name of a dtype as the sidecar has it: ``float32``, ``bool``, ``S15``."""
    return f"S{dtype.itemsize}" if dtype.kind == "S" else dtype.name


def _check_first_group(path: Path, seen: dict[str, WrittenColumn], year: int) -> None:
    first = seen[min(seen)]
    if first.periods[0] != str(year):
        raise WriteError(
            f"{path}: {first.variable} (alphabetically the first group): expected period {year}, because the "
            f"model reads the file's year there, found {first.periods[0]}. Leave that variable out of the source, "
            "or store it per year."
        )


def _read_back(
    path: Path, temporary: Path, seen: dict[str, WrittenColumn], last_ids: Mapping[str, tuple[int, int]]
) -> None:
    with h5py.File(temporary, "r") as file:
        if list(file) != sorted(seen):
            raise WriteError(f"{path}: groups: expected {len(seen)} groups, found {len(file)} when read back")
        for name, (count, last) in last_ids.items():
            ids = file[name][seen[name].periods[0]]
            if (len(ids), ids[-1]) != (count, last):
                found = f"{len(ids)}, the last {ids[-1]}, when read back"
                raise WriteError(f"{path}: {name}: expected {count} ids, the last {last}, found {found}")
