"""The same inputs give the same bytes, whatever the number of jobs and the folder."""

from pathlib import Path

import pytest
from small_project import ALL, Project, make_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_one_job_at_a_time_writes_what_two_write(built: Project, snapshots: Path, tmp_path: Path) -> None:
    alone = make_project(tmp_path / "elsewhere", snapshots)
    outcome = alone.run("-j", "1", "all")
    assert outcome.built == ALL
    expected = built.bytes_of_results()
    assert len(expected) == 2 * len(ALL)
    assert alone.bytes_of_results() == expected
