"""What the file system says of the lock of a run is one line."""

from pathlib import Path

import pytest
from filelock import FileLock

from local_h5.errors import RunningError
from local_h5.runs.run_lock import hold_run_lock


@pytest.mark.parametrize(
    "error", [OSError(37, "No locks available"), PermissionError(13, "denied"), NotImplementedError("no flock")]
)
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def acquire(self: FileLock) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.raises(RunningError, match="on a file system with locks"):
        hold_run_lock(tmp_path)


def test_results_that_are_a_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("no folder")
    with pytest.raises(RunningError, match="a lock file that this user may write"):
        hold_run_lock(tmp_path / "results")


def test_a_second_run_is_told_that_the_first_goes_on(tmp_path: Path) -> None:
    lock = hold_run_lock(tmp_path)
    try:
        with pytest.raises(RunningError, match="one that is going on"):
            hold_run_lock(tmp_path)
    finally:
        lock.release()
