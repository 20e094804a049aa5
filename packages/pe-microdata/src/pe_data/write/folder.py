"""Turn a folder of files into items to publish, one per H5 or Parquet file.

The name of an item is its path in the folder without the extension (`districts/NC-01`). A file with
a result sidecar beside it (`NC-01.h5.result.json`) gets its manifest from there, without being
opened, and its row of the collection the area and the notes; any other file is described from its own metadata.
"""

from pathlib import Path

from pe_data.describe.file import Label, check_years, describe
from pe_data.describe.from_sidecar import about_from, manifest_from, read_sidecar
from pe_data.errors import InputError
from pe_data.names.digests import strict_json
from pe_data.names.keys import EXTENSIONS
from pe_data.write.upload import Item

SIDECAR_SUFFIX = ".result.json"


def item_of(path: Path, label: Label, *, years: tuple[int, ...] = ()) -> Item:
    """One file with its manifest and what is said of it, from its sidecar if there is one.

    Args:
        years: Which years it covers, if it does not say.

    Raises:
        InputError: it says other years.
    """
    sidecar = path.with_name(path.name + SIDECAR_SUFFIX)
    if sidecar.is_file():
        where = str(sidecar)
        found = read_sidecar(strict_json(sidecar.read_bytes(), what=where), where=where)
        manifest = manifest_from(found, label)
        check_years(years, manifest.time_period, what=where)
        return Item(path, manifest, about_from(found, label, where=where))
    return Item(path, describe(path, label, years=years), label.about())


def items_in(folder: Path, label: Label, *, years: tuple[int, ...] = ()) -> dict[str, Item]:
    """Every H5 and Parquet file below `folder`, by relative name without extension.

    Raises:
        InputError: if there is none, or two files differ only in their extension.
    """
    items: dict[str, Item] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.removeprefix(".") not in EXTENSIONS or not path.is_file():
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in items:
            raise InputError(
                f"{path}: another file of the same name differs only in its extension "
                f"({items[name].path.name}); a member has one"
            )
        items[name] = item_of(path, label, years=years)
    if not items:
        raise InputError(f"{folder}: expected .h5 or .parquet files in it, found none")
    return items
