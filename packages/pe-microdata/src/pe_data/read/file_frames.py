"""Data frames per entity of a file that is here, as its manifest describes it (extra `frames`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pe_data.documents.manifest import Manifest
from pe_data.errors import InputError, PeDataError, need
from pe_data.suggestions import did_you_mean

if TYPE_CHECKING:
    import h5py
    import pandas as pd


def frames_of(
    path: Path,
    manifest: Manifest,
    wanted: Mapping[str, tuple[str, ...]],
    *,
    year: int | None,
    allow_pickle: bool,
    what: str,
) -> "dict[str, pd.DataFrame]":
    """Entity → data frame of a file that is here.

    Args:
        path: The file.
        manifest: What is in it.
        wanted: Entity → columns to read.
        year: That is wanted; None for the only one.
        allow_pickle: Whether a file that pandas wrote as HDF5 may be read.
        what: The file in messages.

    Raises:
        InputError: a year that is not there, a file in no known form, or one that needs `allow_pickle`.
    """
    import pandas as pd

    from pe_data.describe.from_h5 import is_hdfstore
    from pe_data.describe.self_contained import open_h5

    chosen = one_year(manifest.time_period, year, what)
    try:
        if manifest.artifact.extension == "parquet":
            return {entity: pd.read_parquet(path, columns=list(names)) for entity, names in wanted.items()}
        with open_h5(path) as file:
            if not is_hdfstore(file):
                return _arrays(file, wanted, chosen)
        if not allow_pickle:
            raise InputError(
                f"{what}: expected plain arrays, found a file that pandas wrote as HDF5. Reading one can run any code "
                "that its maker put there. If you trust them that far, say allow_pickle=True (--allow-pickle)"
            )
        return _hdfstore(path, wanted, chosen)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{what}: the file {path} cannot be read as its manifest describes it: {error}") from error


def _arrays(file: "h5py.File", wanted: Mapping[str, tuple[str, ...]], year: int) -> "dict[str, pd.DataFrame]":
    import h5py
    import numpy as np
    import pandas as pd

    def values(dataset: "h5py.Dataset") -> Any:
        data = dataset[()]
        if data.dtype.kind == "S":
            return np.char.decode(data, "utf-8")
        if data.dtype.kind == "O":
            return np.array([v.decode() if isinstance(v, bytes) else v for v in data])
        return data

    frames = {}
    for entity, names in wanted.items():
        columns: dict[str, Any] = {}
        for name in names:
            node = file[name]
            if isinstance(node, h5py.Dataset):
                columns[name] = values(node)
            elif str(year) in node:
                columns[name] = values(node[str(year)])
            elif len(node) == 1 and next(iter(node)).upper() == "ETERNITY":
                columns[name] = values(node[next(iter(node))])
            else:
                months = sorted(key for key in node if key.startswith(f"{year}-"))
                columns |= {f"{name}@{month}": values(node[month]) for month in months}
        frames[entity] = pd.DataFrame(columns)
    return frames


def _hdfstore(path: Path, wanted: Mapping[str, tuple[str, ...]], year: int | None) -> "dict[str, pd.DataFrame]":
    import pandas as pd

    need(f"{path}: pandas HDF5 files need", "frames", "tables")
    frames = {}
    with pd.HDFStore(path, "r") as store:
        tables = set(store.keys())
        for entity, names in wanted.items():
            keys = [f"/{entity}", f"/{entity}/_{year}", f"/{entity}/{year}"]
            key = next((k for k in keys if k in tables), None)
            if key is None:
                raise InputError(f"{path}: table {entity}: expected one for year {year}. Say --year")
            frames[entity] = pd.DataFrame(store.get(key))[list(names)]
    return frames


def wanted_columns(manifest: Manifest, variables: Sequence[str] | None, what: str) -> dict[str, tuple[str, ...]]:
    """Entity → columns to read; PeDataError for an unknown name."""
    every = manifest.every_column()
    if variables is None:
        return {entity: names for entity, names in every.items() if names}
    known = {name for names in every.values() for name in names}
    for name in variables:
        if name not in known:
            hint = did_you_mean(name, sorted(known))
            raise PeDataError(f"{what}: variables: expected columns of the file, found {name!r}. {hint}".rstrip())
    sets = {entity: frozenset(names) for entity, names in every.items()}
    picked = {entity: tuple(n for n in variables if n in names) for entity, names in sets.items()}
    return {entity: names for entity, names in picked.items() if names}


def one_year(years: tuple[int, ...], year: int | None, what: str) -> int:
    """The year that is meant; None is the only one. Raises InputError."""
    if year is None and len(years) == 1:
        return years[0]
    if year not in years:
        found = "none" if year is None else str(year)
        raise InputError(f"{what}: year: expected one of {', '.join(map(str, years))}, found {found}")
    return year


def need_pandas(what: str) -> None:
    """Raise MissingExtraError if the packages for data frames are not installed; `what` needs them."""
    need(f"{what}: data frames need", "frames", "pandas", "pyarrow")
