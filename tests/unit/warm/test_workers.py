"""The processes that stay: each end of a job is one of its own, and nothing of one job reaches the next."""

import json
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("snakemake")

from snakemake_executor_plugin_warm.workers import Cancelled, Ended, WorkerEnded, Workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the executor keeps no processes there")

LIMIT = 60
"""Seconds that no test comes near; one that hangs ends there."""

Run = Callable[..., Ended]

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(autouse=True)
def time_limit() -> Iterator[None]:
    """End a test that hangs."""

    def out_of_time(*_: object) -> None:
        raise TimeoutError(f"{LIMIT} seconds")

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def workers() -> Iterator[Workers]:
    kept = Workers()
    yield kept
    kept.cancel()


@pytest.fixture(scope="module")
def shared() -> Iterator[Workers]:
    """Workers for several tests: what one leaves behind would show in the next."""
    kept = Workers()
    yield kept
    kept.cancel()


def runner(workers: Workers, folder: Path) -> Run:
    """Run a script of these lines in a worker; its log is ``log``."""

    def run_lines(lines: str, *args: str, name: str = "job.py", environment: dict[str, str] = ENVIRONMENT) -> Ended:
        script = folder / name
        script.write_text(textwrap.dedent(lines))
        return workers.run(sys.executable, environment, [str(script), *args], str(folder), "log")

    return run_lines


@pytest.fixture
def run(workers: Workers, tmp_path: Path) -> Run:
    return runner(workers, tmp_path)


@pytest.fixture
def run_shared(shared: Workers, tmp_path: Path) -> Run:
    return runner(shared, tmp_path)


def pids(run: Run, tmp_path: Path) -> int:
    """The process that runs the next job."""
    assert run("import os; open('pid', 'w').write(str(os.getpid()))", name="pid.py").status == 0
    return int((tmp_path / "pid").read_text())


def test_a_process_runs_one_script_after_another(run: Run, tmp_path: Path) -> None:
    first = pids(run, tmp_path)
    assert first != os.getpid()
    assert pids(run, tmp_path) == first
    ended = run("import sys, os, pathlib; print(sys.argv[1:], __name__, os.getcwd(), file=sys.stderr)", "--a", "b c")
    assert ended.status == 0
    assert (tmp_path / "log").read_text() == f"['--a', 'b c'] __main__ {tmp_path}\n"
    assert pids(run, tmp_path) == first


def test_wall_and_cpu_are_the_jobs_own(run: Run) -> None:
    run("import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass")
    slept = run("import time; time.sleep(0.3)")
    assert slept.wall >= 0.3
    assert slept.cpu < 0.2


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process can begin anew on Linux only")
def test_the_peak_is_the_jobs_own(run: Run) -> None:
    large = run("b = bytearray(200_000_000); b[::4096] = b'x' * len(b[::4096])").max_rss
    small = run("pass").max_rss
    assert large is not None
    assert small is not None
    assert large > small + 150


@pytest.mark.parametrize(
    ("lines", "status", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit('no such area')", 1, "no such area\n"),
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit(256 + 7)", 7, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt\n"),
        ("raise BaseException('odd')", 1, "BaseException: odd\n"),
        ("def broken(:", 1, "SyntaxError: invalid syntax\n"),
        ("import no_such_module", 1, "No module named 'no_such_module'\n"),
        (
            "import resource as r; r.setrlimit(r.RLIMIT_AS, (1 << 30, r.RLIM_INFINITY))\nb = bytearray(2 << 30)",
            1,
            "MemoryError\n",
        ),
    ],
)  # fmt: skip
def test_how_a_script_ends(run_shared: Run, tmp_path: Path, lines: str, status: int, said: str) -> None:
    run = run_shared
    assert run(lines).status == status
    text = (tmp_path / "log").read_text()
    assert text.endswith(said)
    assert "snakemake_executor_plugin" not in text  # no line of the worker in a traceback
    assert run("import resource; bytearray(1 << 28)").status == 0


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "was ended by SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", -11, "was ended by SIGSEGV"),
        ("import os; os.abort()", -6, "was ended by SIGABRT"),
        ("import os; os._exit(5)", 5, "ended with exit status 5, before the script did"),
        ("import os; os._exit(0)", 0, "ended with exit status 0, before the script did"),
        ("import os; os.closerange(3, 100)", 0, "ended with exit status 0, before the script did"),
    ],
)
def test_a_process_that_ends_is_the_end_of_its_own_job_alone(
    run: Run, tmp_path: Path, lines: str, status: int, reason: str
) -> None:
    before = pids(run, tmp_path)
    with pytest.raises(WorkerEnded) as ended:
        run(lines)
    assert (ended.value.begun, ended.value.status, ended.value.reason) == (True, status, reason)
    assert pids(run, tmp_path) != before


def test_a_process_that_ends_while_a_child_has_its_socket_is_noticed(run: Run) -> None:
    with pytest.raises(WorkerEnded) as ended:
        run("import os, signal, time\nif os.fork() == 0: time.sleep(20); os._exit(0)\nos.kill(os.getpid(), 9)")
    assert ended.value.status == -9


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(3)", "1 / 0"])
def test_a_child_that_a_script_forks_is_not_taken_for_the_process(run: Run, tmp_path: Path, end: str) -> None:
    before = pids(run, tmp_path)
    lines = f"import os\nchild = os.fork()\nif child:\n    os.waitpid(child, 0)\nelse:\n    {end}"
    assert [run(lines).status for _ in range(3)] == [0, 0, 0]
    assert pids(run, tmp_path) == before


def test_a_process_that_was_killed_between_two_jobs_costs_no_job(run: Run, tmp_path: Path) -> None:
    before = pids(run, tmp_path)
    os.kill(before, signal.SIGKILL)
    assert pids(run, tmp_path) != before


def test_an_interrupt_of_a_process_alone_does_nothing(run: Run, tmp_path: Path) -> None:
    before = pids(run, tmp_path)
    os.kill(before, signal.SIGINT)
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGINT); print('goes on')").status == 0
    assert pids(run, tmp_path) == before


def test_a_process_that_cannot_start_is_told(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-python"):
        workers.run("/no-python", {}, ["job.py"], str(tmp_path), None)
    (tmp_path / "python").write_text("#!/bin/sh\nexit 4\n")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(WorkerEnded) as ended:
        workers.run(str(tmp_path / "python"), {}, ["job.py"], str(tmp_path), None)
    assert (ended.value.begun, ended.value.status) == (False, 4)


def test_no_log_and_no_folder(workers: Workers, tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text("")
    assert workers.run(sys.executable, ENVIRONMENT, [str(script)], str(tmp_path), None).status == 0
    assert workers.run(sys.executable, ENVIRONMENT, [str(script)], str(tmp_path), "no/log").status == 1
    assert workers.run(sys.executable, ENVIRONMENT, [str(script)], str(tmp_path / "no"), None).status == 1


@pytest.mark.parametrize("deaf", [False, True], ids=["listens", "deaf"])
def test_cancelling_ends_what_runs_and_begins_nothing(
    workers: Workers, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_warm.workers.PATIENCE", 0.5)
    pids(run, tmp_path)
    ends: list[object] = []
    mask = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n" if deaf else ""

    def job() -> None:
        try:
            ends.append(run(f"{mask}import time; open('begun', 'w'); time.sleep(50)"))
        except WorkerEnded as ended:
            ends.append(ended)

    thread = threading.Thread(target=job)
    thread.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    workers.cancel()
    thread.join(10)
    (end,) = ends
    assert end.status == (-9 if deaf else 130)  # type: ignore[attr-defined]
    with pytest.raises(Cancelled):
        run("pass")


LEAVES = {
    "folder": "import os; os.chdir('/usr')",
    "environment": "import os; os.environ['LEFT'] = '1'; os.environ.pop('PATH')",
    "arguments and path": "import sys; sys.argv = ['x', 'LEFT']; sys.path[:] = ['/LEFT']",
    "filters of warnings": "import warnings; warnings.simplefilter('error')",
    "a warning that was shown": "import warnings; warnings.warn('shown')",
    "standard error": "import sys, io, os; sys.stderr = io.StringIO(); os.close(2)",
    "standard output": "import sys, io; sys.stdout = io.StringIO()",
    "a file in the place of one that was kept": (
        "import os; a = os.open('job.py', os.O_RDONLY); b = os.open('left', os.O_RDWR | os.O_CREAT); os.dup2(b, a)"
    ),
    "a trace": "import sys; sys.settrace(lambda *_: None); sys.setprofile(lambda *_: None)",
    "an open file": "import os; os.open('left', os.O_WRONLY | os.O_CREAT)",
    "a socket": "import socket, builtins; builtins.left = socket.socketpair()",
    "a name of a module": "import json; json.dumps = None; json.LEFT = 1",
    "a builtin": "import builtins; builtins.len = None; builtins.LEFT = 1",
    "a name of the script": "LEFT = 1",
    "a module beside the script": "import beside; beside.seen.append(1)",
    "the main module": "import sys; sys.modules['__main__'].LEFT = 1; sys.modules['LEFT'] = None",
    "signals": "import signal; signal.signal(signal.SIGUSR1, lambda *_: None); signal.alarm(1)",
    "a mask of signals": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})",
    "umask": "import os; os.umask(0)",
    "a soft limit": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (99, r.getrlimit(r.RLIMIT_NOFILE)[1]))",
    "a hard limit": "import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); r.setrlimit(r.RLIMIT_NOFILE, (99, 99))",
    "a thread": "import threading, time; threading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
    "a child": "import subprocess; subprocess.Popen(['sleep', '30'])",
    "handlers of logging": "import logging; logging.basicConfig(level=10); logging.disable(50)",
    "random numbers": "import random; random.seed(1)",
    "recursion": "import sys; sys.setrecursionlimit(99)",
    "the collector": "import gc; gc.disable()",
    "decimal": "import decimal; decimal.getcontext().prec = 3",
    "a folder for temporary files": "import tempfile; tempfile.tempdir = '/LEFT'",
    "modules": "import sys, json; del sys.modules['json']; sys.modules['decimal'] = sys",
    "a time zone": "import os, time; os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()",
}

LOOKS = """
import decimal, gc, json, logging, os, random, resource, signal, sys, tempfile, threading, time, warnings
import beside
warnings.warn('shown')
print(json.dumps({
    'folder': os.getcwd(), 'environment': dict(os.environ), 'arguments': sys.argv, 'path': sys.path,
    'filters': [str(item) for item in warnings.filters], 'len': len([1]), 'names': sorted(globals()),
    'left': [hasattr(module, 'LEFT') for module in (json, sys.modules['builtins'], sys.modules['__main__'])],
    'modules': 'LEFT' in sys.modules, 'beside': beside.seen, 'usr1': signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
    'alarm': signal.alarm(0), 'mask': sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    'umask': os.umask(0), 'files': resource.getrlimit(resource.RLIMIT_NOFILE), 'threads': threading.active_count(),
    'level': logging.root.level, 'handlers': len(logging.root.handlers), 'disabled': logging.root.manager.disable,
    'recursion': sys.getrecursionlimit(), 'gc': gc.isenabled(), 'precision': decimal.getcontext().prec,
    'trace': [sys.gettrace() is None, sys.getprofile() is None], 'temporary': tempfile.gettempdir(),
    'zone': time.tzname, 'written': sorted(
        os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')
        and 'left' in os.readlink(f'/proc/self/fd/{n}')),
}, default=str), file=open('seen', 'w'))
random.random() == 0.13436424411240122 and sys.exit('random numbers are those of a seed')
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("leaves", LEAVES)
def test_nothing_of_a_job_reaches_the_next(run_shared: Run, tmp_path: Path, leaves: str) -> None:
    run = run_shared
    (tmp_path / "beside.py").write_text("seen = []\n")
    assert run(LOOKS, "--a").status == 0
    expected = json.loads((tmp_path / "seen").read_text()), (tmp_path / "log").read_text()
    assert "UserWarning: shown" in expected[1]
    assert run(LEAVES[leaves], name="leaves.py").status == 0
    assert run(LOOKS, "--a").status == 0
    assert (json.loads((tmp_path / "seen").read_text()), (tmp_path / "log").read_text()) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_that_holds_much_memory_ends(run: Run, tmp_path: Path) -> None:
    first = pids(run, tmp_path)
    assert run("import json; json.decoder.BACKSLASH['LEFT'] = b'x' * 600_000_000").status == 0
    assert pids(run, tmp_path) != first


def test_a_process_whose_jobs_leave_many_files_ends(run: Run, tmp_path: Path) -> None:
    first = pids(run, tmp_path)
    leaves = "import os\nfor _ in range(50): os.open('job.py', os.O_RDONLY)"
    assert [(run(leaves).status, pids(run, tmp_path) == first) for _ in range(3)] == [(0, True), (0, True), (0, False)]


def test_a_job_with_another_environment_gets_another_process(run: Run, tmp_path: Path) -> None:
    first = pids(run, tmp_path)
    other = {**ENVIRONMENT, "OMP_NUM_THREADS": "3"}
    assert run("import os; os.environ['OMP_NUM_THREADS'] == '3' or 1 / 0", environment=other).status == 0
    with pytest.raises(ProcessLookupError):  # as many processes as jobs at a time
        os.kill(first, 0)


def test_an_edited_script_is_read_again(run: Run, tmp_path: Path) -> None:
    assert run("raise SystemExit(3)").status == 3
    assert run("raise SystemExit(4)").status == 4


def test_processes_end_with_their_socket(run: Run, workers: Workers, tmp_path: Path) -> None:
    first = pids(run, tmp_path)
    workers.end()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


JOB = """
import json, os, sys
import numpy as np
values = np.arange(20_000)
kept = [values * 2 for _ in range(5)]
class Circle: pass
circle = Circle(); circle.self, circle.values = circle, kept
print(len(json.dumps(list(range(1000)))), file=sys.stderr)
with open('memory', 'a') as file:
    print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')),
          len(os.listdir('/proc/self/fd')), file=file)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("jobs", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_memory_and_files_are_flat(run: Run, tmp_path: Path, jobs: int) -> None:
    signal.alarm(LIMIT * 10)
    pid = pids(run, tmp_path)
    for _ in range(jobs):
        assert run(JOB).status == 0
    assert pids(run, tmp_path) == pid
    rows = [line.split() for line in (tmp_path / "memory").read_text().splitlines()]
    early, late = rows[20 : jobs // 4], rows[-jobs // 4 :]
    assert {row[1] for row in early} == {row[1] for row in late}
    assert max(int(row[0]) for row in late) < max(int(row[0]) for row in early) + 3_000  # kB
