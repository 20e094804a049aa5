"""Turn a folder of files into items to publish, one per H5 or Parquet file.

The name of an item is its path in the folder without the extension (`districts/NC-01`). A file with
a result sidecar beside it (`NC-01.h5.result.json`) gets its manifest from there, with what the file
says of its variables, and its row of the collection the area and the notes; any other file is described from its own
metadata. A file of one that was split by area is described so too, and has inputs, build and notes of the whole one.
"""

import warnings
from pathlib import Path

import msgspec

from pe_data.describe.beside import SIDECAR_SUFFIX, files_in, index_beside, is_split, sidecar_beside
from pe_data.describe.file import Label, check_years, describe, dictionary_in
from pe_data.describe.from_sidecar import about_from, manifest_from
from pe_data.errors import CacheWarning
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
        item = Item(path, describe(path, label, years=years), label.about())
        return _of_split(item, label) if is_split(path) else item
    where = f"{path}{SIDECAR_SUFFIX}"
    manifest = manifest_from(found, label).explained(dictionary_in(path))
    check_years(years, manifest.time_period, what=where)
    return Item(path, manifest, about_from(found, label, where=where))


def _of_split(item: Item, label: Label) -> Item:
    """A file of one that was split by area (`US/person.parquet` of `US.h5`), with inputs, build and notes of the whole.

    The row says no area: that is said of the whole file. Where the index is not of the whole file as its sidecar has
    it, nothing is taken over, with a warning.
    """
    from pe_data.describe.range_index import source_of  # pyarrow, which has just read the file

    folder = item.path.parent.resolve()  # a relative path need not say how the folder is called
    whole = folder.parent / f"{folder.name}.h5"
    sidecar = sidecar_beside(whole)
    if sidecar is None:
        return item
    if source_of(index_beside(item.path)) != sidecar.output.sha256:
        text = f"{item.path}: split from another {whole.name} than the one beside it, so without its inputs and build"
        warnings.warn(text, CacheWarning, stacklevel=3)
        return item
    told = manifest_from(sidecar, label)
    manifest = msgspec.structs.replace(item.manifest, inputs=told.inputs, build=told.build)
    about = about_from(sidecar, label, where=f"{whole}{SIDECAR_SUFFIX}")
    return Item(item.path, manifest, msgspec.structs.replace(about, area=None))


def items_in(folder: Path, label: Label, *, years: tuple[int, ...] = ()) -> dict[str, Item]:
    """Every H5 and Parquet file below `folder`, by relative name without extension; raises as `files_in`."""
    return {name: item_of(path, label, years=years) for name, path in files_in(folder).items()}
