"""Runs with profiles/slurm on a real Slurm of three nodes: same bytes, lost nodes, too little memory, what it costs."""

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mini_slurm import MiniSlurm
from small_project import ROOT, Project

pytestmark = [pytest.mark.slurm, pytest.mark.engines]

MAX_OVERHEAD = 3.0  # seconds per area
AREAS_PER_JOB = {"custom": 8, "districts": 16, "states": 8}

SITE = (
    "--slurm-direct-no-account", "--slurm-direct-status-command", "squeue",
    "--slurm-direct-init-seconds-before-status-checks", "2",
    "--slurm-direct-keep-successful-logs", "--latency-wait", "20",
)  # fmt: skip
"""What this cluster has not: accounting. And no patience, because its jobs are short."""


@dataclass(frozen=True)
class Run:
    """A run of the project on the cluster, while it goes on and afterwards."""

    project: Project
    cluster: MiniSlurm
    process: "subprocess.Popen[bytes]"
    first_job: int

    @property
    def log(self) -> str:
        return self.project.path("run.log").read_text(errors="replace")

    def jobs(self, folder: str | None = None) -> list[dict[str, str]]:
        """Slurm's jobs of this run; of one area type, if given."""
        jobs = [job for job in self.cluster.jobs() if int(job["id"]) > self.first_job]
        return [job for job in jobs if folder is None or f"_areas_{folder}_" in job["comment"]]

    def wait(self) -> None:
        status = self.process.wait(timeout=900)
        assert status == 0, f"{self.log[-6000:]}\n{self.cluster.logs()}"

    def until(self, happened: Callable[[], bool], seconds: float = 600) -> None:
        end = time.monotonic() + seconds
        while not happened():
            assert self.process.poll() is None, self.log[-6000:]
            assert time.monotonic() < end, f"{self.jobs()}\n{self.log[-6000:]}"
            time.sleep(0.05)


def start(project: Project, cluster: MiniSlurm, *targets: str, **more: str) -> Run:
    environment = cluster.environment | {
        key: value for key, value in project.environment().items() if key not in ("PATH", "SLURM_CONF")
    }
    environment["PATH"] = f"{cluster.folder / 'bin'}{os.pathsep}{project.environment()['PATH']}"
    environment["PYTHONPATH"] = os.pathsep.join(
        [environment["PYTHONPATH"], str(ROOT / "adapters/engines"), str(Path(__file__).parent / "hook")]
    )
    first = max((int(job["id"]) for job in cluster.jobs()), default=0)
    with project.path("run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *(targets or ("all",)), *SITE],
            cwd=project.folder, env=environment | more, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    return Run(project, cluster, process, first)


def remove_areas(project: Project, folder: str) -> int:
    """Take the H5 files of one area type away; what is prepared stays."""
    paths = sorted((project.folder / "results" / folder).glob("*.h5"))
    for path in paths:
        path.unlink()
    return len(paths)


def overhead_of(run: Run, job: dict[str, str]) -> float:
    """Seconds of a Slurm job, per area, in which no area was being built."""
    (log,) = run.project.folder.glob(f".snakemake/slurm_logs/*/{job['id']}.log")
    areas = set(re.findall(r"^Job \d+: (\w+/[\w-]+)$", log.read_text(), re.MULTILINE))
    benchmarks = [run.project.folder / "results/benchmarks" / f"{area}.tsv" for area in areas]
    building = sum(float(path.read_text().splitlines()[1].split("\t")[0]) for path in benchmarks)
    return (seconds(job["time"]) - building) / len(areas)


def seconds(slurm_time: str) -> int:
    """``1:02:03`` or ``2:03`` as seconds."""
    return sum(int(part) * 60**place for place, part in enumerate(reversed(slurm_time.split(":"))))


def megabytes(slurm_memory: str) -> int:
    """``401M`` as 401."""
    assert slurm_memory.endswith("M")
    return int(slurm_memory.removesuffix("M"))


def test_forty_areas_have_the_bytes_of_a_local_run(
    fresh: Project, built: Project, cluster: MiniSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, spent = fresh.copy(tmp_path / "project"), tmp_path / "cpu"
    spent.mkdir()
    run = start(project, cluster, LOCAL_H5_TEST_CPU=str(spent))
    run.wait()

    assert project.bytes_of_results() == built.bytes_of_results()
    assert len(project.bytes_of_results()) == 2 * 40
    for folder, most in AREAS_PER_JOB.items():
        areas = len(list((project.folder / "results" / folder).glob("*.h5")))
        assert len(run.jobs(folder)) == math.ceil(areas / most)
    assert {job["cpus"] for job in run.jobs("custom")} == {"1"}
    assert {job["node"] for job in run.jobs()} == set(cluster.names)

    records = [json.loads(path.read_text()) for path in spent.iterdir()]
    nested = [r["cpu"] for r in records if "--target-jobs" in r["command"] and "build_area" in r["command"]]
    assert len(nested) == len([job for job in run.jobs() if "_areas_" in job["comment"]])
    walls = {folder: [round(overhead_of(run, job), 1) for job in run.jobs(folder)] for folder in AREAS_PER_JOB}
    with capsys.disabled():
        sys.stdout.write(
            f"\noverhead of Slurm and Snakemake per area: {sum(nested) / 40:.2f} CPU-s; seconds of wall time in each"
            f" job, with a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs: {walls}\n"
        )
    assert sum(nested) / 40 <= MAX_OVERHEAD


def test_a_finished_run_starts_no_job(built: Project, cluster: MiniSlurm, tmp_path: Path) -> None:
    run = start(built.copy(tmp_path / "project"), cluster)
    run.wait()
    assert run.jobs() == []


def test_survives_a_node_that_is_killed(built: Project, cluster: MiniSlurm, tmp_path: Path) -> None:
    project = built.copy(tmp_path / "project")
    assert remove_areas(project, "custom") == 27
    run = start(project, cluster)
    run.until(lambda: any((project.folder / "results/custom").glob("*.h5")))
    victim = next(job for job in run.jobs("custom") if job["state"] == "RUNNING")
    cluster.kill_node(victim["node"])
    try:
        run.wait()
    finally:
        cluster.start_node(victim["node"])
        cluster.wait_idle()

    ended = {job["id"]: job["state"] for job in run.jobs("custom")}
    assert ended[victim["id"]] == "NODE_FAIL"
    assert "COMPLETED" in ended.values()
    # A file that the dead node was writing stays under its temporary name until the next run.
    files = {name: digest for name, digest in project.bytes_of_results().items() if "/." not in name}
    assert files == built.bytes_of_results()


def test_a_job_beyond_its_memory_gets_more(built: Project, cluster: MiniSlurm, tmp_path: Path) -> None:
    project = built.copy(tmp_path / "project")
    assert remove_areas(project, "states") == 5
    run = start(project, cluster, LOCAL_H5_TEST_BALLAST="states/NY:450")
    run.wait()

    first, second = run.jobs("states")
    assert first["state"] in ("FAILED", "OUT_OF_MEMORY", "CANCELLED")
    assert second["state"] == "COMPLETED"
    assert megabytes(second["memory"]) == 2 * megabytes(first["memory"])
    assert project.bytes_of_results() == built.bytes_of_results()
