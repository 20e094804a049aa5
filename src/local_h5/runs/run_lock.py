"""One run at a time in a results folder, and the leftovers of killed runs.

Snakemake takes its own lock after it has read the Snakefile, and the lock stays when Snakemake is killed. This one is
taken before anything is compared, belongs to the process, and ends with it.
"""

import contextlib
import getpass
import json
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from local_h5.config.layout import Layout
from local_h5.errors import RunningError, WriteError
from local_h5.files.atomic import of_owner, write_text
from local_h5.requests import FOLDERS

if TYPE_CHECKING:
    from filelock import FileLock


def hold_run_lock(results: Path) -> "FileLock":
    """Lock the results folder for this process. Keep the lock object: it releases the lock when it is deleted.

    Raises:
        RunningError: another process holds it, or the folder cannot be locked.
    """
    from filelock import FileLock, Timeout  # on use: a dry run needs no lock

    path = Layout(results).lock
    try:
        results.mkdir(parents=True, exist_ok=True)
        # Made here with the permissions of umask: others who share the folder must be able to write it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
        lock = FileLock(path, timeout=0, mode=stat.S_IMODE(path.stat().st_mode))
        lock.acquire()
    except Timeout:
        raise RunningError(
            f"{results}: expected no other run in this folder, found one that is going on{_holder(results)}. Wait "
            "for it to end, or stop it with Ctrl-C in its window; nothing was changed."
        ) from None
    except (OSError, NotImplementedError) as error:
        raise RunningError(
            f"{path}: expected a lock file that this user may write, on a file system with locks, found "
            f"{getattr(error, 'strerror', None) or error}{of_owner(path)}. Let its owner share the folder (chmod -R "
            "g+rwX), or set results to a folder of your own."
        ) from error
    with contextlib.suppress(OSError, WriteError):  # it only improves the message to the next run
        said = {"user": getpass.getuser(), "pid": os.getpid(), "host": socket.gethostname()}
        write_text(Layout(results).lock_holder, json.dumps(said))
    return lock


def _holder(results: Path) -> str:
    """Who holds the lock, in brackets; empty if unknown."""
    try:
        said = json.loads((Layout(results).lock_holder).read_text(encoding="utf-8"))
        return f" ({said['user']}, process {said['pid']} on {said['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def refuse_stale_lock(results: Path, folder: Path = Path(".snakemake/locks")) -> None:
    """Refuse to start while Snakemake's own lock of a killed run is there. The caller holds the run lock.

    Raises:
        RunningError: a run that was using ``results`` was killed.
    """
    below = f"{results.as_posix()}/"
    for path in sorted(folder.glob("*.lock")):
        with path.open(encoding="utf-8", errors="replace") as stream:
            if any(line.startswith(below) for line in stream):
                raise RunningError(
                    f"{folder}: expected no lock, found the lock of a killed run. Continue it with: make "
                    "resume (or: snakemake --unlock, then the same command again)."
                )


def remove_leftovers(results: Path) -> int:
    """Delete temporary files of killed jobs. Call it with the run lock held, before any job starts.

    Returns:
        How many there were.
    """
    folders = (*FOLDERS.values(), "prepared", "example", "validation", "published")
    leftovers = [path for name in folders for path in (results / name).rglob(".*.tmp")]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
