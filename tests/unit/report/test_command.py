"""Which run `local-h5 report` is about."""

from pathlib import Path

import pytest
import yaml

from local_h5.cli import options_of
from local_h5.errors import ConfigError, LocalH5Error, ResultError

ROOT = Path(__file__).parents[3]


def run(*args: str) -> LocalH5Error:
    options = options_of(["report", *args])
    with pytest.raises(LocalH5Error) as found:
        options.pop("command")(**options)
    return found.value


def test_a_folder_without_a_run_is_one_line(tmp_path: Path) -> None:
    error = run("--results", str(tmp_path))
    assert isinstance(error, ResultError)
    assert str(error) == (
        f"{tmp_path}: expected the folder of a run, found no {tmp_path}/prepared/config.json. "
        "Run the workflow first: make all."
    )


def test_the_folder_is_that_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    own = tmp_path / "my.yaml"
    own.write_text(yaml.safe_dump({"results": str(tmp_path / "elsewhere")}))
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"results": str(tmp_path / "first")}))
    error = run("--configfile", str(other), str(own))  # several, as for Snakemake; the last one counts
    assert isinstance(error, ResultError)
    assert f"{tmp_path}/elsewhere: expected the folder of a run" in str(error)


def test_outside_a_project_it_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = run()
    assert isinstance(error, ConfigError)
    assert "Run in the folder that holds the Snakefile" in str(error)
