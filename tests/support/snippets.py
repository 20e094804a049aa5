"""The commands and programs that stand in the project's pages.

A fenced block of ``sh`` or ``python`` is meant to be pasted after ``make all``, in the project's folder with its
environment active. One that cannot is preceded, on the line above, by ``<!-- not run: REASON -->``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
RUN_ELSEWHERE = {
    "docs/hub.md": "tests/pe_data/test_export_hub.py",
    "docs/neighbours.md": "tests/pe_data/test_neighbours.py",
    "docs/release-manager.md": "tests/pe_data/test_story.py",
    "docs/story.md": "tests/pe_data/test_story.py",
}
"""Pages of which every block is run by a test of their own, in a folder of their own."""

RUNNABLE = ("sh", "python")
KINDS = (*RUNNABLE, "text", "console", "json", "yaml", "toml", "mermaid")

_FENCE = re.compile(r"^```(\w*)\s*$")
_MARK = re.compile(r"^<!-- not run: (.*?)\s*-->$")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A fenced block: its page, first line, language, text, and why it is not run (None: it is)."""

    page: str
    line: int
    kind: str
    text: str
    reason: str | None

    @property
    def place(self) -> str:
        """``README.md:19``."""
        return f"{self.page}:{self.line}"


def snippets_of(page: str, text: str) -> list[Snippet]:
    """The fenced blocks of a page, in order."""
    found: list[Snippet] = []
    lines = text.splitlines()
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = number, fence[1]
            continue
        start, kind = opened
        mark = _MARK.match(lines[start - 2]) if start > 1 else None
        found.append(
            Snippet(page, start, kind, "\n".join(lines[start : number - 1]) + "\n", None if mark is None else mark[1])
        )
        opened = None
    assert opened is None, f"{page}:{opened[0]}: the block does not end" if opened else ""
    return found


def read_pages() -> list[Snippet]:
    """The blocks of all pages."""
    return [
        snippet
        for page in PAGES
        for snippet in snippets_of(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"))
    ]


def marks(text: str) -> list[int]:
    """Lines with a mark, for those that stand above no block."""
    return [number for number, line in enumerate(text.splitlines(), 1) if "not run:" in line and "<!--" in line]
