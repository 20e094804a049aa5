"""Every block of code in the pages is run by a test, or says why not. tests/acceptance/test_snippets.py runs them."""

import re

import pytest
from snippets import KINDS, PAGES, ROOT, RUN_ELSEWHERE, RUNNABLE, Snippet, marks, read_pages, snippets_of

SNIPPETS = read_pages()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.place)
def test_a_block_says_what_it_is_and_why_it_is_not_run(snippet: Snippet) -> None:
    assert snippet.kind in KINDS, f"{snippet.place}: expected one of {', '.join(KINDS)} after the fence"
    if snippet.reason is not None:
        assert snippet.kind in RUNNABLE, f"{snippet.place}: only sh and python are run, so only they are marked"
        assert len(snippet.reason.split()) >= 3, f"{snippet.place}: expected a reason, found {snippet.reason!r}"
    if snippet.kind in ("text", "yaml"):
        first = snippet.text.split(maxsplit=1)[0]
        assert first not in ("make", "snakemake", "python", "pip", "pe-data", "local-h5"), (
            f"{snippet.place}: that is sh"
        )


ELSEWHERE = [snippet for snippet in SNIPPETS if re.search(r"\.ci/run|\.py\b|\.md\b", snippet.reason or "")]


@pytest.mark.parametrize("snippet", ELSEWHERE, ids=lambda snippet: snippet.place)
def test_what_a_mark_names_is_there_and_has_the_commands(snippet: Snippet) -> None:
    """`.ci/run` has the lines as they stand, a page the same commands; a test takes them its own way."""
    assert snippet.reason is not None
    (named,) = re.findall(r"\.ci/run|[\w./-]+\.(?:py|md)\b", snippet.reason)
    text = (ROOT / named).read_text(encoding="utf-8")
    lines = [line.partition("#")[0].strip() for line in snippet.text.splitlines()]
    if named == ".ci/run":
        assert [line for line in lines if line not in text] == []
    elif named.endswith(".md"):
        commands = {tuple(line.split()[:2]) for line in lines if re.match(r"pe-data [a-z]", line)}
        assert commands
        assert [command for command in commands if " ".join(command) not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_mark_stands_directly_above_a_block(page) -> None:
    text = page.read_text(encoding="utf-8")
    marked = {s.line - 1 for s in snippets_of(page.name, text) if s.reason is not None}
    assert set(marks(text)) == marked


def test_pages_that_are_run_elsewhere_are_named_there() -> None:
    for page, test in RUN_ELSEWHERE.items():
        assert page.rpartition("/")[2] in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```sh\nmake all\n```\n", ("sh", "make all\n", None)),
        ("<!-- not run: needs a cluster -->\n```sh\nsbatch\n```\n", ("sh", "sbatch\n", "needs a cluster")),
        ("<!-- not run: -->\n```python\n1\n```\n", ("python", "1\n", "")),
        ("<!-- not run: far away -->\n\n```sh\nx\n```\n", ("sh", "x\n", None)),
        ("```\nx\n```\n", ("", "x\n", None)),
    ],
)
def test_blocks_and_marks_are_found(text: str, expected: tuple[str, str, str | None]) -> None:
    (snippet,) = snippets_of("page.md", text)
    assert (snippet.kind, snippet.text, snippet.reason) == expected
