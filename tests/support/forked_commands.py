"""Python commands in processes of their own, without importing the libraries anew for each.

A server imports what Snakemake and its workflow need of other people's code, and nothing of this project. For each
command it forks. The fork takes over folder, environment, arguments and path, runs the command, and ends as any
interpreter does.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PRELOADED = ("snakemake.cli", "numpy", "h5py", "yaml")
LIMIT = 300
"""Seconds after which a command is ended."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, what it said, and the CPU seconds of it and of what it waited for."""

    returncode: int
    stdout: str
    stderr: str
    cpu: float


def python(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run `python ARGUMENTS…` in a folder and wait for its end."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said, "stdout"), Path(said, "stderr")
        request = {"arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        server.stdin.write(json.dumps({**request, "streams": [os.devnull, str(out), str(err)]}) + "\n")
        server.stdin.flush()
        status, cpu = json.loads(server.stdout.readline())
        ended = Ended(status, out.read_text(), err.read_text(), cpu)
    assert status != -signal.SIGALRM, f"{arguments}: not done after {LIMIT} s: {ended}"
    return ended


@functools.cache
def _server() -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "OPENBLAS_NUM_THREADS": "1"},
    )

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()  # so that its time counts as this process's

    atexit.register(end)
    return server


def _serve() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    sys.modules["snakemake.cli"].get_argument_parser()  # imports the plugins
    del sys.path[0]  # the folder of this file
    gc.collect()
    gc.freeze()
    answers = os.dup(1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            return _become(**json.loads(line))
        _, status, usage = os.wait4(pid, 0)
        answer = [os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime]
        os.write(answers, f"{json.dumps(answer)}\n".encode())


def _become(arguments: list[str], folder: str, environment: Mapping[str, str], streams: list[str]) -> None:
    """Be the interpreter of a command: its exceptions, exit status and handlers at the end are this process's."""
    signal.alarm(LIMIT)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.modules["snakemake.workflow"].Workflow._rundir = folder  # set when it is imported
    for number, name in enumerate(streams):
        file = os.open(name, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    first, *rest = arguments
    if first == "-m":
        sys.path.insert(0, folder)
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.path.insert(0, "")
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(first).resolve().parent))
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _serve()
