"""Snakemake with jobs in processes that stay: no end of a job hangs the run, or is another job's."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_project import Project

pytestmark = pytest.mark.workflow

LIMIT = 120
"""Seconds in which every run here has ended."""

SNAKEFILE = """
rule all:
    input:
        [f"out/{how}.txt" for how in config["jobs"].split(",")],

rule job:
    output:
        "out/{how}.txt",
    log:
        "logs/{how}.log",
    benchmark:
        "benchmarks/{how}.tsv"
    retries: int(config["retries"])
    params:
        run=["python", "job.py"],
        warm=True,
    shell:
        "{params.run:q} {wildcards.how:q} {output:q} 2> {log:q}"
"""

JOB = """
import ctypes, json, os, resource, signal, sys, time
from pathlib import Path

how, output = sys.argv[1:]
kind, _, rest = how.partition("-")
again = rest == "once" and Path(f"{how}.tried").exists()
Path(f"{how}.tried").touch()
print(f"{how} begins", file=sys.stderr, flush=True)
if again:
    pass
elif kind == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif kind == "interrupt":
    os.kill(os.getpid(), signal.SIGINT)
elif kind == "exit":
    sys.exit(3)
elif kind == "segv":
    ctypes.string_at(0)
elif kind == "memory":
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
    bytearray(1 << 31)
elif kind == "sleep":
    time.sleep(100)
Path(output).write_text(json.dumps({
    "pid": os.getpid(), "threads": os.environ["OMP_NUM_THREADS"], "temporary": os.environ["TMPDIR"],
}))
"""

FATAL = ("kill", "segv", "exit", "memory")
REASONS = {"kill": "SIGKILL", "segv": "SIGSEGV", "exit": "exit status 3", "memory": "MemoryError"}


@dataclass(frozen=True)
class Small:
    """A workflow of one rule, and how its jobs end."""

    folder: Path

    def start(self, jobs: Sequence[str], *options: str, retries: int = 0) -> "subprocess.Popen[str]":
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        command = [
            sys.executable, "-m", "snakemake", "--executor", "warm", "-j", "2", *options,
            "--config", f"jobs={','.join(jobs)}", f"retries={retries}",
        ]  # fmt: skip
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, jobs: Sequence[str], *options: str, retries: int = 0) -> tuple[int, str]:
        process = self.start(jobs, *options, retries=retries)
        try:
            text, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert not alive(process.pid), "a process of the run is left"
        return process.returncode, text

    def written(self) -> dict[str, dict]:
        return {path.stem: json.loads(path.read_text()) for path in (self.folder / "out").glob("*.txt")}


def alive(group: int) -> list[str]:
    """Processes of a process group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


@pytest.fixture
def small(tmp_path: Path) -> Small:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "job.py").write_text(JOB)
    return Small(tmp_path)


def test_every_end_of_a_job_is_its_own(small: Small) -> None:
    good = [f"good-{number}" for number in range(6)]
    status, text = small.run([*FATAL, *good, "interrupt"], "--keep-going", "--show-failed-logs")
    assert status == 1
    written = small.written()
    assert set(written) == {*good, "interrupt"}
    assert len({row["pid"] for row in written.values()}) <= 2 + 2 * len(FATAL)
    assert {(row["threads"], bool(row["temporary"])) for row in written.values()} == {("1", True)}
    for how in FATAL:
        assert f"{how} begins" in text  # its log is shown
        ending = "died with" if how in ("kill", "segv") else "returned non-zero"
        assert f"{how} out/{how}.txt 2> logs/{how}.log' {ending}" in text
        assert REASONS[how] in text
        assert not (small.folder / f"benchmarks/{how}.tsv").exists()
    header, values = (small.folder / "benchmarks/good-0.tsv").read_text().splitlines()
    row = dict(zip(header.split("\t"), values.split("\t"), strict=True))
    assert float(row["s"]) >= float(row["cpu_time"]) * 0.5
    assert float(row["max_rss"] if sys.platform == "linux" else 1) > 0


def test_a_job_that_fails_is_tried_again(small: Small) -> None:
    jobs = [f"{how}-once" for how in (*FATAL, "interrupt")]
    status, text = small.run(jobs, retries=1)
    assert status == 0, text
    assert set(small.written()) == set(jobs)


@pytest.mark.slow
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("how", FATAL)
def test_a_run_that_does_not_keep_going_ends(small: Small, how: str, retries: int) -> None:
    good = [f"good-{number}" for number in range(20)]
    status, text = small.run([how, *good], "--show-failed-logs", retries=retries)
    assert status == 1
    assert how not in small.written()
    assert REASONS[how] in text
    assert text.count("Trying to restart job") == retries


@pytest.mark.parametrize("who", ["all", pytest.param("snakemake", marks=pytest.mark.slow)])
def test_ctrl_c_ends_all(small: Small, who: str) -> None:
    process = small.start(["sleep-1", "sleep-2", "sleep-3"], "--keep-going")
    begun = [small.folder / f"sleep-{number}.tried" for number in (1, 2, 3)]
    until = time.monotonic() + LIMIT
    while sum(path.exists() for path in begun) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    (os.killpg if who == "all" else os.kill)(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Terminating processes on user request" in text
    assert not alive(process.pid)
    assert not small.written()
    assert sum(path.exists() for path in begun) == 2


@pytest.mark.slow
def test_killing_snakemake_ends_all_when_their_jobs_end(small: Small) -> None:
    edited = JOB.replace("time.sleep(100)", "time.sleep(3)")
    (small.folder / "job.py").write_text(edited)
    process = small.start(["sleep-1", "sleep-2"])
    while not (small.folder / "sleep-2.tried").exists() or not (small.folder / "sleep-1.tried").exists():
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=LIMIT)
    until = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(process.pid)
    assert set(small.written()) == {"sleep-1", "sleep-2"}


NOTES_WORKERS = """
import sys
if any(word.endswith("worker.py") for word in sys.orig_argv):
    open("started", "a").write("x")
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-n",), ("--touch",), ("--unlock",), ("--summary",), ("--list",), ("--dag",)])
def test_what_runs_no_job_starts_no_process(
    small: Small, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (small.folder / "hook").mkdir()
    (small.folder / "hook/sitecustomize.py").write_text(NOTES_WORKERS)
    monkeypatch.setenv("PYTHONPATH", str(small.folder / "hook"))
    (small.folder / "out").mkdir()
    (small.folder / "out/good-1.txt").touch()
    small.run(["good-1"], *options)
    assert not (small.folder / "started").exists()
    assert small.run(["good-1", "good-2"])[0] == 0
    assert (small.folder / "started").exists()


ORDINARY = """
from pathlib import Path

rule all:
    input:
        "shadow.txt", "run.txt", "plain.txt", "piped.txt", "loop.txt", "several.txt", "warm.txt", "local/x.txt",

rule warm:
    output: "warm.txt"
    params: warm=True
    shell: "python job.py good {output}"

rule shadow:
    output: "shadow.txt"
    shadow: "shallow"
    params: warm=True
    shell: "python job.py good {output} && touch left-behind"

rule run:
    output: "run.txt"
    params: warm=True
    run: Path(output[0]).write_text("{}")

rule plain:
    output: "plain.txt"
    shell: "python job.py good {output}"

rule into:
    output: pipe("pipe")
    params: warm=True
    shell: "python into.py {output}"

rule out_of:
    input: "pipe"
    output: "piped.txt"
    params: warm=True
    shell: "cat {input} > {output}"

rule loop:
    output: "loop.txt"
    params: warm=True
    shell: "for i in 1; do python job.py good {output}; done"

rule several:
    output: "several.txt"
    benchmark: repeat("several.tsv", 2)
    params: warm=True
    shell: "python job.py good {output}"

rule module_like:
    output: "local/{x}.txt"
    params: warm=True
    threads: 2
    log: "local/{x}.log"
    shell: "python job.py {wildcards.x} {output} 2> {log}"
"""


@pytest.mark.slow
def test_what_is_no_plain_script_goes_the_ordinary_way(small: Small) -> None:
    (small.folder / "Snakefile").write_text(ORDINARY)
    (small.folder / "into.py").write_text("import sys; open(sys.argv[1], 'w').write('{}')")
    status, text = small.run([])
    assert status == 0, text
    assert not (small.folder / "left-behind").exists()
    assert len((small.folder / "several.tsv").read_text().splitlines()) == 3
    assert json.loads((small.folder / "local/x.txt").read_text())["threads"] == "2"


def test_the_executor_of_the_command_line_is_the_one_that_runs(built: Project, project: Project) -> None:
    for area in ("districts/NC-01", "cities/NYC", "national/US"):
        project.h5(area).unlink()
    project.run("--executor", "local", "all")
    assert project.bytes_of_results() == built.bytes_of_results()
    measured = (project.folder / "results/benchmarks/districts/NC-01.tsv").read_text().splitlines()[1].split("\t")
    kept = (built.folder / "results/benchmarks/districts/NC-01.tsv").read_text().splitlines()[1].split("\t")
    assert float(kept[-1]) > 0  # warm: told by the worker
    assert len(measured) == len(kept)


@pytest.mark.parametrize("how", ["option", pytest.param("variable", marks=pytest.mark.slow)])
def test_a_profile_whose_executor_is_overridden_is_refused(
    project: Project, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.yaml").write_text("executor: local\nlatency-wait: 60\n")
    if how == "variable":
        monkeypatch.setenv("SNAKEMAKE_PROFILE", str(mine))
    given = ("--profile", str(mine)) if how == "option" else ()
    refused = project.run(*given, "all", check=False)
    assert refused.status == 1
    (line,) = [line for line in refused.text.splitlines() if line.startswith("error: ")]
    assert f"--workflow-profile {mine}" in line
    assert "Traceback" not in refused.text
    (mine / "config.yaml").write_text("latency-wait: 60\n")  # names none
    assert project.run(*given, "-n", "all").status == 0
    shutil.rmtree(mine)
