"""Templates, style and script of pages (extra `site`)."""

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pe_data.errors import need
from pe_data.maps.on_page import colours

if TYPE_CHECKING:
    import jinja2

SHARED = "pe_data.pages"


def environment(package: str) -> "jinja2.Environment":
    """Templates of a package, and the shared ones, which have the same names for all. Every text is escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    need("pages need", "site", "jinja2")
    import jinja2

    def load(name: str) -> str | None:
        found = (files(where).joinpath(name) for where in (package, SHARED))
        return next((one.read_text(encoding="utf-8") for one in found if one.is_file()), None)

    return jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(load),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def text_of(name: str, package: str = SHARED) -> str:
    """A file of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def style() -> str:
    """The style of all pages, with the colours of maps by light, in the dark and on paper."""
    light, dark = colours(), colours(dark=True)
    return (
        f"{text_of('base.css')}{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n@media print {{ {light} }}\n"
    )


def script_json(value: Any) -> str:
    """JSON to stand inside a script element: no text may end it, or open a comment in it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
