"""Snakemake with a cloud that is not there: what it is asked to run is noted, and run on this machine.

    python fake_clouds.py FOLDER SNAKEMAKE-ARGUMENTS…

Each job's specification goes to FOLDER as JSON. Its command is run in an empty folder with the environment that the
specification names and a search path, as a container would; the volume is this machine's file system.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import kubernetes
from google.cloud import batch_v1
from snakemake.cli import main


class Jobs:
    """Jobs by name."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, specification: Any, command: list[str], variables: Mapping[str, str]) -> None:
        (self.notes / f"{name}.json").write_text(json.dumps(specification))
        image = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "HOME") if key in os.environ}
        with (self.notes / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=tempfile.mkdtemp(dir=self.notes), env=image | dict(variables), stdout=log, stderr=log
            )

    def status(self, name: str) -> int | None:
        return self.running[name].poll()


class FakeBatchApi:
    """Of Kubernetes: jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def create_namespaced_job(self, namespace: str, body: kubernetes.client.V1Job) -> None:
        specification = kubernetes.client.ApiClient().sanitize_for_serialization(body)
        (container,) = specification["spec"]["template"]["spec"]["containers"]
        self.jobs.start(body.metadata.name, specification, [*container["command"], *container["args"]], {})

    def read_namespaced_job_status(self, name: str, namespace: str) -> SimpleNamespace:
        status = self.jobs.status(name)
        return SimpleNamespace(status=SimpleNamespace(failed=int(bool(status)), succeeded=int(status == 0)))

    def delete_namespaced_job(self, *_: object, **__: object) -> None:
        pass


class FakeCoreApi:
    """Of Kubernetes: secrets, and pods, which are gone as soon as they end."""

    def create_namespaced_secret(self, *_: object) -> None:
        pass

    def delete_namespaced_secret(self, *_: object, **__: object) -> None:
        pass

    def list_namespaced_pod(self, **_: object) -> SimpleNamespace:
        return SimpleNamespace(items=[])


class FakeBatchService:
    """Of Google Batch. The host's script is run first, then the container's, both below a folder instead of /tmp."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def create_job(self, request: batch_v1.CreateJobRequest) -> batch_v1.Job:
        specification = json.loads(batch_v1.Job.to_json(request.job, use_integers_for_enums=False))
        runnables = request.job.task_groups[0].task_spec.runnables
        host = tempfile.mkdtemp(dir=self.jobs.notes)
        scripts = [item.script.text for item in runnables if item.script.text]
        (container,) = [item.container for item in runnables if item.container.image_uri]
        words = [container.entrypoint, *container.commands]
        script = "\n".join([*scripts, f"exec {' '.join(words)}"]).replace("/tmp/workdir", f"{host}/workdir")
        name = request.job_id
        self.jobs.start(name, specification | {"parent": request.parent}, ["/bin/sh", "-ec", script], {})
        return batch_v1.Job(name=name, uid=name)

    def get_job(self, request: batch_v1.GetJobRequest) -> batch_v1.Job:
        status = self.jobs.status(request.name)
        state = {None: "RUNNING", 0: "SUCCEEDED"}.get(status, "FAILED")
        return batch_v1.Job(status=batch_v1.JobStatus(state=batch_v1.JobStatus.State[state]))


class FakeLogs:
    """Of Google: nothing was logged."""

    def __init__(self, project: str) -> None:
        pass

    def logger(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(list_entries=lambda **_: [])


if __name__ == "__main__":
    jobs = Jobs(Path(sys.argv[1]))
    with (
        mock.patch("kubernetes.config.load_kube_config"),
        mock.patch("kubernetes.client.CoreV1Api", FakeCoreApi),
        mock.patch("kubernetes.client.BatchV1Api", return_value=FakeBatchApi(jobs)),
        mock.patch("google.cloud.batch_v1.BatchServiceClient", return_value=FakeBatchService(jobs)),
        mock.patch("google.cloud.logging.Client", FakeLogs),
    ):
        main(sys.argv[2:])
