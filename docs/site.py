"""What the site has besides `docs/`: pages that stand elsewhere in the repository, and an entry for each decision.

mkdocs calls these functions (mkdocs.yml, `hooks`). Links are written for the repository, where they work too; here each
is resolved there and written anew for the site. A link to a file that the site does not have stops the build.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "adapters/modal/README.md",
    "benchmarks/README.md", "config/README.md",
)  # fmt: skip
SHOWN = (
    "LICENSE", "benchmarks/*.svg", "config/*.yaml", "examples/*.ipynb", "schemas/*.json",
    "packages/pe-microdata/src/pe_data/schemas/*.json",
)  # fmt: skip
"""Files that pages link to and that the site has as they are."""

FOUND_FIRST = ("troubleshooting.md", "glossary.md", "estimates.md", "extending.md", "tutorials/")
"""Pages that the search puts before others with the same words."""

_LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)#\s]+)((?:#[^)\s]*)?\))")
_LOADED = re.compile(
    r"""(?:src=|@import |<link [^>]*rel="?(?:stylesheet|preload|preconnect)"?[^>]*href=)["']?(?:https?:)?//[^\s"'>]+"""
)
_DECISIONS = "decisions"
_MOVED = {"README.md": "repository.md"}
"""Pages that have another name here, where the site's own start page has theirs."""


def on_config(config: Any) -> Any:
    """The pages of `docs/decisions` in the navigation, and at its end those that no door has yet."""
    docs = ROOT / "docs"
    every = [path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md"))]
    pages = [name for name in every if name.startswith(f"{_DECISIONS}/")]
    listed = set(pages)

    def filled(entry: Any) -> Any:
        if isinstance(entry, list):
            return [filled(one) for one in entry]
        if isinstance(entry, dict):
            return {name: filled(inner) for name, inner in entry.items()}
        listed.add(entry)
        return pages if entry == _DECISIONS else entry

    config.nav = filled(config.nav)
    if more := [name for name in every if name not in listed]:
        config.nav.append({"More": more})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add what stands elsewhere."""
    shown = [path.relative_to(ROOT).as_posix() for pattern in SHOWN for path in sorted(ROOT.glob(pattern))]
    for name in (*ELSEWHERE, *shown):
        files.append(File.generated(config, _MOVED.get(name, name), abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Write relative links for the site, and say what the search finds first."""
    source = page.file.src_uri
    if source.startswith(FOUND_FIRST):
        page.meta.setdefault("search", {"boost": 3})
    back = {site: name for name, site in _MOVED.items()}
    here = back.get(source, source if source in ELSEWHERE else f"docs/{source}")

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), found[2]))
        if (ROOT / target).is_dir():
            target = _page_of(target)
        site = _MOVED.get(target, target.removeprefix("docs/"))
        return f"{found[1]}{posixpath.relpath(site, posixpath.dirname(source) or '.')}{found[3]}"

    return _LINK.sub(moved, markdown)


def _page_of(folder: str) -> str:
    """The page that stands for a folder."""
    readme = f"{folder}/README.md"
    return readme if (ROOT / readme).exists() else f"{folder}/{min(path.name for path in (ROOT / folder).glob('*.md'))}"


def on_post_build(config: Any) -> None:
    """Refuse a page that loads anything from another host."""
    from mkdocs.exceptions import PluginError

    for path in sorted(Path(config.site_dir).rglob("*.html")):
        found = _LOADED.search(path.read_text(encoding="utf-8"))
        if found is not None:
            raise PluginError(f"{path}: expected nothing from another host, found {found[0]}")
