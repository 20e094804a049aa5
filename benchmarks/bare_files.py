"""The least that the files of a run can cost: each dataset gathered from a column and written, in one process.

    python bare_files.py LAYOUT FOLDER

LAYOUT is what :func:`describe` wrote. Groups, datasets, dtypes and rows are those of the run's files; the values come
from stand-in columns, by rows in ascending order, as a build gathers its own. Nothing is drawn, checked or hashed.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np

SOURCE_ROWS = 30_000
"""Length of a stand-in column."""


def describe(results: Path, layout: Path) -> None:
    """Write down what is in each H5 of a run: names and dtypes once, lengths for each file."""
    datasets: dict[str, str] = {}
    files: dict[str, list[int]] = {}
    for path in sorted(results.glob("*/*.h5")):
        if path.parent.name == "prepared":
            continue
        lengths: dict[str, int] = {}

        def look(name: str, item: object, lengths: dict[str, int] = lengths) -> None:
            if isinstance(item, h5py.Dataset):
                datasets.setdefault(name, item.dtype.str)
                lengths[name] = len(item)

        with h5py.File(path, "r") as file:
            file.visititems(look)
        files[str(path.relative_to(results))] = [lengths.get(name, -1) for name in datasets]
    layout.write_text(json.dumps({"datasets": datasets, "files": files}), encoding="utf-8")


def write_bare(layout: Path, folder: Path) -> None:
    """Write all files of a layout."""
    known = json.loads(layout.read_text(encoding="utf-8"))
    columns = {kind: np.zeros(SOURCE_ROWS, kind) for kind in set(known["datasets"].values())}
    for name, lengths in known["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = {length: np.arange(length) * SOURCE_ROWS // max(length, 1) for length in set(lengths) if length >= 0}
        with h5py.File(path, "w", libver="v110") as file:
            for (dataset, kind), length in zip(known["datasets"].items(), lengths, strict=False):
                if length >= 0:
                    file.create_dataset(dataset, data=columns[kind][rows[length]])


if __name__ == "__main__":
    write_bare(Path(sys.argv[1]), Path(sys.argv[2]))
