"""``local-h5 areas``, and the completion of areas."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local_h5 import cli

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    cli.main(["areas", *arguments])
    return capsys.readouterr().out


def test_all_areas_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = say(capsys).splitlines()
    assert len(lines) == 489
    assert lines[0] == "US     national  United States"
    assert "NC-01  district  North Carolina" in lines
    assert "NYC    city      New York City" in lines


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(say(capsys, "--json", "--search", "nc-1"))["areas"]
    assert found == [
        {
            "id": "NC-01",
            "type": "district",
            "name": "North Carolina",
            "path": "districts/NC-01.h5",
            "filters": [{"field": "district", "op": "eq", "value": "3701"}],
        }
    ]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["NC_01"], ["NC-01"]),
        (["nc", "1"], ["NC-01"]),
        (["3701"], ["NC-01"]),
        (["wyoming"], ["WY", "WY-01"]),
        (["Wyoming", "district"], ["WY-01"]),
        (["district of columbia"], ["DC", "DC-01"]),
        (["new", "york", "CIT"], ["NYC"]),
        (["36061"], ["NYC"]),
        (["national"], ["US"]),
    ],
)
def test_search(words: list[str], ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert [area["id"] for area in json.loads(say(capsys, "--json", "--search", *words))["areas"]] == ids


def test_own_areas_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    own = '{custom: [{id: triangle, name: Research Triangle, filters: [{field: county, op: eq, value: "37063"}]}]}'
    text = say(capsys, "--search", "research", "--config", f"areas={own}")
    assert text == "triangle  custom  Research Triangle\n"


@pytest.mark.parametrize(("words", "said"), [("north carolna", "Did you mean NC or "), ("zzzzzz", "all are listed")])
def test_no_such_area(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["areas", "--search", words])
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (1, "")
    assert printed.err.startswith(f"error: areas: --search {words}: expected words that describe an area")
    assert said in printed.err


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("local-h5 explain nc-0", [f"NC-0{n}" for n in range(1, 10)]),
        ("local-h5 explain states/w", ["states/WA", "states/WI", "states/WV", "states/WY"]),
        ("local-h5 ch", ["check"]),
        ("local-h5 areas --sea", ["--search"]),
        ("local-h5 explain zz", []),
    ],
)
def test_a_shell_completes(line: str, found: list[str], tmp_path: Path) -> None:
    """As the script of argcomplete for bash asks."""
    answer = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_SHELL": "bash", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9",
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-c", "from local_h5.cli import main; main()"], env={**os.environ, **asked}, cwd=ROOT,
        check=True, capture_output=True,
    )  # fmt: skip
    assert [one.strip() for one in answer.read_text().split("\n") if one.strip()] == found
