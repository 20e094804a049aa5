"""A prepared run of five districts, made once."""

import pytest
from validation_world import make_run
from worker_world import Prepared, write_prepared


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Do not change it."""
    return write_prepared(tmp_path_factory.mktemp("worker"), make_run(tmp_path_factory.mktemp("world")))


@pytest.fixture
def prepared(shared: Prepared, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """The prepared run, with its folder as the current one."""
    monkeypatch.chdir(shared.folder)
    return shared
