"""docs/troubleshooting.md: each message that it quotes is one that the programs still have, and they stand in order."""

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
SOURCES = ("src", "packages/pe-microdata/src", "packages/pe-microdata-gateway/src")
QUOTED = re.findall(r"^\*\*`([^`]+)`\*\*", PAGE, re.MULTILINE)
HOLE = "…"


@cache
def messages() -> tuple[str, ...]:
    """Every text in the programs, with a hole for each value; texts in a row are one."""
    found = {}
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
                    found["".join(map(str, parts))] = None
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found[node.value] = None
    return tuple(found)


def is_said(quoted: str, texts: tuple[str, ...]) -> bool:
    """Whether the words of a quotation stand in one text, in this order; `…` is anything."""
    pieces = [piece.strip() for piece in quoted.split(HOLE)]
    return any(in_order(pieces, text) for text in texts)


def in_order(pieces: list[str], text: str) -> bool:
    """Whether pieces stand in a text one after the other."""
    at = 0
    for piece in pieces:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_in_the_programs(quoted: str) -> None:
    assert len(re.sub(rf"[{HOLE}\W]+", "", quoted)) >= 12, "expected words by which a reader finds the line"
    assert is_said(quoted, messages())


def test_many_messages_are_there() -> None:
    assert len(QUOTED) >= 25
    assert len(set(QUOTED)) == len(QUOTED)


@pytest.mark.parametrize("section", PAGE.split("\n## ")[1:], ids=lambda section: section.partition("\n")[0])
def test_messages_stand_in_order(section: str) -> None:
    """By the first words that are the message's own, as one looks them up."""
    keys = [re.sub(rf"^[{HOLE}\W]+", "", one).casefold() for one in re.findall(r"^\*\*`?([^`*]+)", section, re.M)]
    assert [pair for pair in pairwise(keys) if pair[0] > pair[1]] == []


@pytest.mark.parametrize(
    ("quoted", "said"),
    [
        ("…: expected a channel in …, found none", True),
        ("expected a channel in …, found some", False),
        ("found none, expected a channel", False),
    ],
)
def test_other_words_are_noticed(quoted: str, said: bool) -> None:
    assert is_said(quoted, (f"{HOLE}: expected a channel in {HOLE}, found none. Nothing was",)) is said
