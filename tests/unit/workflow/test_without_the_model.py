"""The commands of the base install, which does not bring the model."""

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_h5 import cli
from local_h5.runs.code import library_versions

ROOT = Path(__file__).parents[3]


@pytest.fixture(params=["policyengine-us", "policyengine-core"])
def absent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that is not installed."""
    version = importlib.metadata.version

    def found(name: str) -> str:
        if name == request.param:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", found)
    library_versions.cache_clear()
    yield request.param
    library_versions.cache_clear()


@pytest.mark.parametrize("command", [["plan"], ["plan", "--format", "json"], ["verify"], ["explain", "NC-01"]])
def test_commands_say_what_to_install_in_one_line(
    absent: str, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["local-h5", *command, "--config", f"results={tmp_path / 'results'}"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (1, "")
    assert printed.err.startswith(f"error: {absent}: expected an installed package")
    assert printed.err.endswith("Install the extra 'model' of local-h5.\n")
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "results").exists()
