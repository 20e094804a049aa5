"""Where microdata files live and how their bytes reach a user, verified.

    import pe_data

    path = pe_data.ensure("pe-data://us/local_areas/districts/NC-01@latest")
    frames = pe_data.open("pe-data://us/enhanced_cps_2024@latest", variables=["age"])
    frames.mean("age")  # weighted

Names are loaded on first use, so that `import pe_data` costs almost nothing.
"""

import builtins
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pe_data.catalogue.write import site
    from pe_data.certify.certify import certify_data_release
    from pe_data.errors import PeDataError
    from pe_data.exports.export import export
    from pe_data.maps.draw import map as map
    from pe_data.names.uri import parse_uri
    from pe_data.read.catalogue import history, schema, variables
    from pe_data.read.catalogue import list as list
    from pe_data.read.datasets import ensure_datasets
    from pe_data.read.diff import diff
    from pe_data.read.fetch import fetch
    from pe_data.read.frames import open_frames as open
    from pe_data.read.resolver import ensure, resolve

__all__ = [
    "PeDataError",
    "certify_data_release",
    "diff",
    "ensure",
    "ensure_datasets",
    "export",
    "fetch",
    "history",
    "open",
    "parse_uri",
    "resolve",
    "schema",
    "site",
    "variables",
]
"""For `import *`. `list` and `map` are not among them, which would hide Python's own."""

_HOMES = {
    "PeDataError": ("pe_data.errors", "PeDataError"),
    "certify_data_release": ("pe_data.certify.certify", "certify_data_release"),
    "diff": ("pe_data.read.diff", "diff"),
    "ensure": ("pe_data.read.resolver", "ensure"),
    "ensure_datasets": ("pe_data.read.datasets", "ensure_datasets"),
    "export": ("pe_data.exports.export", "export"),
    "fetch": ("pe_data.read.fetch", "fetch"),
    "history": ("pe_data.read.catalogue", "history"),
    "list": ("pe_data.read.catalogue", "list"),
    "map": ("pe_data.maps.draw", "map"),
    "open": ("pe_data.read.frames", "open_frames"),
    "parse_uri": ("pe_data.names.uri", "parse_uri"),
    "resolve": ("pe_data.read.resolver", "resolve"),
    "schema": ("pe_data.read.catalogue", "schema"),
    "site": ("pe_data.catalogue.write", "site"),
    "variables": ("pe_data.read.catalogue", "variables"),
}


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'pe_data' has no attribute {name!r}") from None
    return getattr(import_module(module), attribute)


def __dir__() -> "builtins.list[str]":
    return sorted(_HOMES)
