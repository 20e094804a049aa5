"""A command as a whole process: its CPU time, wall time and peak memory, as the kernel counted them."""

import json
import os
import sys
import time

THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR", "GOTO")
"""Snakemake sets these to a job's number of threads, which is one; so does this."""


def launch(command: list[str]) -> dict[str, float]:
    """Run a command with the interpreter of this one and wait for it."""
    environment = {**os.environ, **{f"{name}_NUM_THREADS": "1" for name in THREADS}}
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, *command], environment)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "kernel": usage.ru_stime,
        "wall": wall,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def run(command: list[str], folder: str | None = None, environment: dict[str, str] | None = None) -> dict[str, float]:
    """Cost of one run of a command: seconds ``cpu``, ``kernel`` (the kernel's part of them) and ``wall``; ``peak_mb``.

    Args:
        command: arguments of the interpreter.
        folder: to run in.
        environment: all of it; None for this process's own.

    It is started by a small process of its own: the kernel counts the memory of whoever starts a process as its peak.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    import subprocess

    launcher = [sys.executable, "-I", "-S", __file__, json.dumps(command)]
    done = subprocess.run(launcher, check=True, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)
    return json.loads(done.stdout.splitlines()[-1])  # the command may have printed too


def best_of(runs: list[dict[str, float]]) -> dict[str, float]:
    """The least of each time (other programs only ever add), the most memory."""
    return {
        **min(runs, key=lambda cost: cost["cpu"]),
        "wall": min(cost["wall"] for cost in runs),
        "peak_mb": max(cost["peak_mb"] for cost in runs),
        "runs": len(runs),
    }


def measure(command: list[str], runs: int) -> dict[str, float]:
    """Run a command several times, one after the other."""
    return best_of([run(command) for _ in range(runs)])


if __name__ == "__main__":
    print(json.dumps(launch(json.loads(sys.argv[1]))))
