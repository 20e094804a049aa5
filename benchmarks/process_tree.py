"""A command with everything that it starts: CPU time of the whole tree, its memory at each moment, its processes."""

import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_EVERY = 1.0
"""Seconds between two looks at the memory of the tree."""


@dataclass(frozen=True)
class Finished:
    """A Python process that has ended, as ``hook/sitecustomize.py`` wrote it down."""

    started: float
    ended: float
    cpu: float
    peak_mb: float
    command: list[str]

    @property
    def kind(self) -> str:
        """Name of the script or module."""
        path = Path(self.command[0])
        return path.parent.name if path.stem == "__main__" else path.stem


def read_log(path: Path) -> list[Finished]:
    """All processes of a log, in the order in which they ended."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Finished(float(started), float(ended), float(user) + float(kernel), int(peak) / 1024, command.split())
        for started, ended, user, kernel, peak, command in rows
    ]


def run_tree(command: list[str], folder: Path, environment: dict[str, str], log: Path) -> dict[str, Any]:
    """Run a command to its end.

    Returns:
        Seconds ``cpu``, ``kernel``, ``wall``, ``started`` and ``ended`` (of the clock); ``private_mb``, the most memory
        that the processes of the tree had at one time without what is mapped from files, looked at every second.

    Raises:
        SystemExit: the command failed.
    """
    started, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as stream:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=subprocess.STDOUT)
        peak = [0]
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, stop, peak))
        watcher.start()
        process.wait()
        stop.set()
        watcher.join()
    ended, after = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}; see {log}")
    kernel = after.ru_stime - before.ru_stime
    return {
        "cpu": after.ru_utime - before.ru_utime + kernel,
        "kernel": kernel,
        "wall": ended - started,
        "started": started,
        "ended": ended,
        "private_mb": peak[0] / 2**20,
    }


def _watch(root: int, stop: threading.Event, peak: list[int]) -> None:
    while not stop.wait(_EVERY):
        total = 0
        try:
            tree = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in tree:
            try:
                memory = process.memory_info()
            except psutil.NoSuchProcess:
                continue
            total += memory.rss - memory.shared
        peak[0] = max(peak[0], total)
