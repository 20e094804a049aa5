"""Where each page of a catalogue stands. Addresses are relative, so that a site works in any folder, and they stay."""

from collections.abc import Iterable
from urllib.parse import quote

from pe_data.names.digests import sha256_bytes

START, GATED, ASSETS, ABOUT = "index.html", "gated.html", "assets", "site.json"
LONGEST = 160
"""Characters of a member's name in the name of its page."""


def dataset(country: str, name: str) -> str:
    """The page of a dataset."""
    return f"{country}/{name}/index.html"


def version(country: str, name: str, number: int) -> str:
    """The page of a version."""
    return f"{country}/{name}/v{number}/index.html"


def columns(country: str, name: str, key: str) -> str:
    """The page of a set of columns."""
    return f"{country}/{name}/columns/{key}.html"


def members(country: str, name: str, number: int, names: Iterable[str]) -> dict[str, str]:
    """Member → its page in a version; `/` becomes `~`, which no name has.

    Names that differ in capitals only are one file on some disks, and a long name is none on any: such a page has the
    digest of the name in its own.
    """
    pages: dict[str, str] = {}
    seen: set[str] = set()
    for member in sorted(names):
        flat = member.replace("/", "~")
        if len(flat) > LONGEST or flat.casefold() in seen:
            flat = f"{flat[:LONGEST]}~{sha256_bytes(member.encode())[:12]}"
        seen.add(flat.casefold())
        pages[member] = f"{country}/{name}/v{number}/files/{flat}.html"
    return pages


def root(page: str) -> str:
    """The way from a page to the start."""
    return "../" * page.count("/")


def anchor(*names: str) -> str:
    """An id in a page, and what stands behind `#` in its address: a column may have any name."""
    return ".".join(quote(name, safe="") for name in names)
