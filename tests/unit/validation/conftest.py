"""One tiny finished run for all tests that only read it."""

from pathlib import Path

import pytest
from validation_world import Run, copy_of, make_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A run of the test's own, to be damaged."""
    return copy_of(finished, tmp_path / "run")
