"""The table of attacks in docs/security.md is complete, and names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parents[1] / "docs" / "security.md"
REQUIRED = (
    "pointer rewritten",
    "replayed on another channel",
    "replayed on another dataset",
    "replayed on another country",
    "below threshold",
    "same key twice",
    "unknown key",
    "expired",
    "rolled back, known client",
    "rolled back, fresh client",
    "bad root rollover",
    "old keys after rollover",
    "manifest swapped under a valid artifact hash",
    "payload bit-flip",
    "payload truncation",
    "same size with wrong bytes",
    "endless body",
    "tombstone forged",
    "tombstone stripped by a mirror",
    "duplicate json keys",
    "path traversal in country, dataset or key",
    "token in a log",
    "two writers on one channel",
    "lost reply",
    "kill -9 at every step of publish",
    "kill -9 at every step of download",
    "full disk",
    "read-only cache",
    "clock skew",
    "24 concurrent clients",
    "garbage collection racing a publish",
    "a server that ignores conditional headers",
)
NAME = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def rows() -> list[tuple[str, str, str]]:
    text = DOCUMENT.read_text(encoding="utf-8").partition("## Attacks and faults that are tried")[2]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [(row[0], row[1], row[2]) for row in cells[2:]]


@cache
def collected(name: str) -> frozenset[str]:
    """The functions of a file that pytest collects."""
    tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_")


def test_every_attack_has_its_row() -> None:
    attacks = [attack.lower() for attack, _, _ in rows()]
    assert len(attacks) == len(set(attacks))
    assert [one for one in REQUIRED if sum(one in attack for attack in attacks) != 1] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_row_names_tests_that_exist(row: tuple[str, str, str]) -> None:
    attack, outcome, cell = row
    named = NAME.findall(cell)
    assert attack
    assert outcome
    assert named, f"{attack}: no test"
    assert NAME.sub("", cell).strip(" ,") == "", "nothing but tests in the last column"
    for file, test in named:
        assert test in collected(file), f"{file} has no {test}"
