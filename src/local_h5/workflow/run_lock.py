"""One run at a time in a results folder, and what a killed run left behind.

Snakemake's own lock is taken after the Snakefile was read, and stays when Snakemake is killed. This one is taken
before anything is compared, belongs to the process, and ends with it.
"""

from pathlib import Path

from filelock import FileLock, Timeout

from local_h5.errors import RunningError
from local_h5.requests import FOLDERS

_NAME = ".run.lock"


def hold_run_lock(results: Path) -> FileLock:
    """Take the results folder for this process; keep the lock object, it is released with it.

    Raises:
        RunningError: another process holds it, or the folder cannot be locked.
    """
    try:
        results.mkdir(parents=True, exist_ok=True)
        lock = FileLock(results / _NAME, timeout=0)
        lock.acquire()
    except Timeout:
        raise RunningError(
            results,
            expected="no other run in this folder",
            found="one that is going on",
            remedy="Wait for it to end, or stop it with Ctrl-C in its window; nothing was changed.",
        ) from None
    except (OSError, NotImplementedError) as error:
        raise RunningError(
            results,
            expected="a folder that this user can write in, on a file system with locks",
            found=str(error),
            remedy="Correct the path of results or its permissions, or use another file system.",
        ) from error
    return lock


def refuse_stale_lock(results: Path, folder: Path = Path(".snakemake/locks")) -> None:
    """Say what to do when Snakemake's own lock is still there although no run is (the caller holds the run lock).

    Raises:
        RunningError: a run that was using ``results`` was killed.
    """
    below = f"{results.as_posix()}/"
    for path in sorted(folder.glob("*.lock")):
        with path.open(encoding="utf-8", errors="replace") as stream:
            if any(line.startswith(below) for line in stream):
                raise RunningError(
                    folder,
                    expected="no lock",
                    found="that of a run which was killed",
                    remedy="Continue it with: make resume (or: snakemake --unlock, then the same command again).",
                )


def remove_leftovers(results: Path) -> int:
    """Delete temporary files of killed jobs; call it with the run lock held, before any job starts.

    Returns:
        How many there were.
    """
    folders = (*FOLDERS.values(), "prepared", "example", "validation", "published")
    leftovers = [path for name in folders for path in (results / name).rglob(".*.tmp")]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
