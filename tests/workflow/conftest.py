"""The small project: made once, built once, copied for every test."""

import sys
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))

from small_project import (
    ALL,
    Project,
    change_one_variable,
    make_project,
    prepare_snapshots,
    snapshot_folder,
    write_coded,
    write_inputs,
)


@pytest.fixture(scope="session")
def snapshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots of the small source and of one with another value, kept between sessions while nothing changes."""
    folder = snapshot_folder(request.config.cache.mkdir("local-h5-snapshots"))
    inputs = tmp_path_factory.mktemp("sources")
    write_inputs(inputs / "base")
    write_inputs(inputs / "other")
    change_one_variable(inputs / "other" / "source.h5")
    with FileLock(folder / "lock"):
        coded = {
            f"coded {raised}": write_coded(inputs / f"coded_{raised}.h5", raise_income_of=raised)
            for raised in (None, 9)
        }
        prepare_snapshots(folder, {"base": inputs / "base/source.h5", "other": inputs / "other/source.h5", **coded})
    return folder


@pytest.fixture(scope="session")
def built(snapshots: Path, worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project after one run; do not change it. The first worker that needs it builds it for all."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "built"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            folder.mkdir()
            assert make_project(folder / "project", snapshots).run().built == ALL
            (folder / "done").touch()
    return Project(folder / "project", snapshots)


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """A copy of the built project, as if restored on another machine with its times."""
    return built.copy(tmp_path / "project")
