"""The same inputs give the same bytes, whatever the number of jobs, their processes and the folder.

The run that they are held against has two jobs at a time, in processes that stay. A worker's files: test_worker.py; a
Slurm's: tests/slurm.
"""

from pathlib import Path

import pytest
from small_project import ALL, Project, make_project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.mark.parametrize(
    "options", [("-j", "1"), ("-j", "1", "--executor", "local"), ("-j", "2", "--executor", "local")], ids=" ".join
)
def test_another_run_writes_the_same(options: tuple[str, ...], built: Project, snapshots: Path, tmp_path: Path) -> None:
    alone = make_project(tmp_path / "elsewhere", snapshots)
    outcome = alone.run(*options, "all")
    assert outcome.built == ALL
    expected = built.bytes_of_results()
    assert len(expected) == 2 * len(ALL)
    assert alone.bytes_of_results() == expected
