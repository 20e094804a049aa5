"""Turn a folder of files into items to publish, one per H5 or Parquet file.

The name of an item is its path in the folder without the extension (`districts/NC-01`). A file with
a result sidecar beside it (`NC-01.h5.result.json`) gets its manifest from there, with what the file
says of its variables, and its row of the collection the area and the notes; any other file is described from its own
metadata.
"""

from pathlib import Path

from pe_data.describe.beside import SIDECAR_SUFFIX, files_in, sidecar_beside
from pe_data.describe.file import Label, check_years, describe, dictionary_in
from pe_data.describe.from_sidecar import about_from, manifest_from
from pe_data.write.upload import Item


def item_of(path: Path, label: Label, *, years: tuple[int, ...] = ()) -> Item:
    """One file with its manifest and what is said of it, from its sidecar if there is one.

    Args:
        years: Which years it covers, if it does not say.

    Raises:
        InputError: it says other years.
    """
    found = sidecar_beside(path)
    if found is None:
        return Item(path, describe(path, label, years=years), label.about())
    where = f"{path}{SIDECAR_SUFFIX}"
    manifest = manifest_from(found, label).explained(dictionary_in(path))
    check_years(years, manifest.time_period, what=where)
    return Item(path, manifest, about_from(found, label, where=where))


def items_in(folder: Path, label: Label, *, years: tuple[int, ...] = ()) -> dict[str, Item]:
    """Every H5 and Parquet file below `folder`, by relative name without extension; raises as `files_in`."""
    return {name: item_of(path, label, years=years) for name, path in files_in(folder).items()}
