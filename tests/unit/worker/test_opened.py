"""What a process that stays keeps open is what lies there now."""

import json
import os
import shutil
from pathlib import Path

import pytest
from worker_world import Prepared

from local_h5.errors import ConfigError, PreparedError
from local_h5.worker.opened import Opened, open_once


@pytest.fixture
def files(shared: Prepared, tmp_path: Path) -> dict[str, Path]:
    """A copy of the prepared files, with a configuration and a table of populations."""
    prepared = shared.results / "prepared"
    copied = {"snapshot": tmp_path / "source_snapshot.h5"}
    shutil.copyfile(prepared / "source_snapshot.h5", copied["snapshot"])
    for name in ("blocks", "clones", "takeup"):
        copied[name] = tmp_path / f"{name}.h5"
        shutil.copyfile(prepared / f"regional/{name}.h5", copied[name])
    config = json.loads((prepared / "config.json").read_text())
    table = tmp_path / "population.csv"
    table.write_text("area_type,area_id,population\nstate,NC,10\n")
    config["validation"] |= {"enabled": True}
    config["validation"]["population"]["table"] = str(table)
    copied["config"] = tmp_path / "config.json"
    copied["config"].write_text(json.dumps(config))
    return copied


def rewrite(path: Path, content: bytes | None = None) -> None:
    """Put a file in the place of another, with the old one's modification time."""
    stat = path.stat()
    new = path.with_name("new")
    new.write_bytes(path.read_bytes() if content is None else content)
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(path)


def of_state(opened: Opened) -> float | None:
    return opened.structural.references.get(("state", "NC"))


def test_files_are_opened_once(files: dict[str, Path]) -> None:
    first, again = open_once(**files), open_once(**files)
    assert again.inputs is first.inputs
    assert again.schema is first.schema
    assert again.structural is first.structural


@pytest.mark.parametrize("name", ["snapshot", "blocks", "clones", "takeup"])
def test_a_file_that_was_written_anew_is_opened_anew(files: dict[str, Path], name: str) -> None:
    first = open_once(**files)
    rewrite(files[name])
    assert open_once(**files).inputs is not first.inputs


def test_another_folder_has_files_of_its_own(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = {name: Path(path.name) for name, path in files.items()}
    first = open_once(**relative)
    (tmp_path / "other").mkdir()
    for path in files.values():
        shutil.copy2(path, tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    assert open_once(**relative).inputs is not first.inputs


def test_populations_are_those_of_now(files: dict[str, Path], tmp_path: Path) -> None:
    assert of_state(open_once(**files)) == 10
    rewrite(tmp_path / "population.csv", b"area_type,area_id,population\nstate,NC,20\n")
    assert of_state(open_once(**files)) == 20
    config = json.loads(files["config"].read_text())
    config["validation"]["enabled"] = False
    rewrite(files["config"], json.dumps(config).encode())
    assert of_state(open_once(**files)) is None


def test_what_is_missing_is_told_and_not_remembered(files: dict[str, Path], tmp_path: Path) -> None:
    files["clones"].rename(tmp_path / "away")
    with pytest.raises(PreparedError, match="found no file"):
        open_once(**files)
    (tmp_path / "away").rename(files["clones"])
    open_once(**files)
    (tmp_path / "population.csv").unlink()
    with pytest.raises(ConfigError, match=r"population\.table"):
        open_once(**files)
