"""One tiny finished run for all tests that only read it."""

from pathlib import Path

import pytest
from validation_world import Run, copy_of, make_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="session")
def left_to_the_model(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run with ``output.medicaid_cost: model``."""
    return make_run(tmp_path_factory.mktemp("left_to_the_model"), medicaid_cost="model")


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A run of the test's own, to be damaged."""
    return copy_of(finished, tmp_path / "run")
