"""The cartogram of a version of a dataset, whose cells lead to files."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pe_data.catalogue.read import Content
from pe_data.documents.manifest import Manifest
from pe_data.documents.told import called
from pe_data.errors import InputError
from pe_data.maps.districts import district_of
from pe_data.maps.draw import cartogram, measure_of
from pe_data.maps.on_page import on_page

FEW = 5
"""Of one thing in a line, or in the selector of a map."""


def district_map(content: Content, page_of: Callable[[str], str]) -> dict[str, Any]:
    """What `on_page` makes of the rows of each entity, with a page for each district; empty without districts.

    Args:
        page_of: The page of a member.
    """
    rows, manifests = content.version.rows, content.manifests
    districts: dict[str, str] = {}
    for name, row in sorted(rows.items()):
        named = name if name.startswith("districts/") else ""
        named = row.area.id if row.area and row.area.type == "district" else named
        if named:
            with suppress(InputError):
                districts.setdefault(district_of(named), name)
    where = cartogram()
    measures = {
        entity: measure_of(
            {there: manifests[name].entities[entity].rows for there, name in districts.items()
             if entity in manifests[name].entities},
            title=f"Rows of {entity}",
            signed=False,
        )
        for entity in entities_of(manifests[name] for name in districts.values())[:FEW]
    }  # fmt: skip
    made = on_page(
        measures,
        where,
        names={there: called(rows[name].title, rows[name].area) for there, name in districts.items()},
        status=dict.fromkeys(where.paths, "not in this version") | dict.fromkeys(districts, "see its page"),
    )
    links = [page_of(districts[one]) if one in districts else "" for one in where.paths]
    return {**made, "data": {**made["data"], "links": links}} if made else {}


def entities_of(manifests: Iterable[Manifest]) -> list[str]:
    """Of any of the files: persons and households first."""
    found = {name for one in manifests for name in one.entities}
    return sorted(found, key=lambda name: (name not in ("person", "household"), name != "person", name))
