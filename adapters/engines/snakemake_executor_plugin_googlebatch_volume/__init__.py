"""Snakemake's Google Batch executor, for virtual machines that share one NFS volume with the main process.

As its neighbour for Kubernetes, and for the same reason: the project's folder lies on a volume (Filestore, or any NFS)
that main process and virtual machines mount under the same path. Besides, a job asks for the memory and time of its
rule, Snakemake alone repeats what failed, and the container gets nothing installed: docs/clusters.md.
"""

# mypy: disable-error-code="import-untyped, misc"
# The plugins and their interface have no types.

import math
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

from google.cloud import batch_v1
from snakemake_executor_plugin_googlebatch import ExecutorSettings as WithoutVolume
from snakemake_executor_plugin_googlebatch import common_settings as without_volume
from snakemake_executor_plugin_googlebatch.command import COSWriter
from snakemake_executor_plugin_googlebatch.executor import GoogleBatchExecutor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

_FAMILY = "batch-cos-stable-official"
_ENTRYPOINT = """#!/bin/sh
mkdir -p /tmp/workdir
cat > /tmp/workdir/entrypoint.sh <<'END-OF-JOB'
{command}
END-OF-JOB
"""

common_settings = replace(
    without_volume,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
    pass_default_storage_provider_args=False,
)


@dataclass
class ExecutorSettings(WithoutVolume):
    """Those of the plugin, and the volume.

    Attributes:
        nfs: server and exported path, ``10.0.0.2:/share``; mounted at ``mount_path``.
    """

    nfs: str = field(
        default="", metadata={"help": "NFS volume with the project's folder, SERVER:/PATH", "required": True}
    )


class Writer(COSWriter):
    """Writes the job's command, and nothing else."""

    def setup(self) -> str:
        """A script for the host that leaves the command where the container looks for it."""
        return _ENTRYPOINT.format(command=self.command)


class Executor(GoogleBatchExecutor):
    """Runs each job in the project's folder, on the volume."""

    def __post_init__(self) -> None:
        """Check the settings before anything is started.

        Raises:
            WorkflowError: the folder does not lie on the volume, or the image runs no containers.
        """
        settings, folder = self.workflow.executor_settings, Path(self.workflow.workdir_init)
        if ":/" not in settings.nfs:
            raise WorkflowError(
                f"--googlebatch-volume-nfs: expected SERVER:/PATH, found {settings.nfs!r}: docs/clusters.md."
            )
        if not folder.is_relative_to(settings.mount_path):
            raise WorkflowError(
                f"--googlebatch-volume-mount-path: expected a folder at or above {folder}, found "
                f"{settings.mount_path}. Run Snakemake in the project's folder on the volume: docs/clusters.md."
            )
        if settings.image_family != _FAMILY:
            raise WorkflowError(
                f"--googlebatch-volume-image-family: expected {_FAMILY}, found {settings.image_family}. "
                "Jobs run in a container (--container-image)."
            )
        super().__post_init__()

    def get_job_exec_prefix(self, job: JobExecutorInterface) -> str:
        """What a container does first."""
        return f"cd {shlex.quote(str(self.workflow.workdir_init))}"

    def get_command_writer(self, job: JobExecutorInterface) -> Writer:
        """The writer of the job's command."""
        return Writer(
            command=self.format_job_exec(job),
            snakefile="",
            snakefile_path="/tmp/workdir/unused",
            settings=self.workflow.executor_settings,
            resources=job.resources,
        )

    def add_storage(self, job: JobExecutorInterface, task: batch_v1.TaskSpec) -> None:
        """Mount the volume, and ask for the job's time."""
        server, _, path = self.workflow.executor_settings.nfs.partition(":")
        volume = batch_v1.Volume(mount_path=str(self._mount))
        volume.nfs = batch_v1.NFS(server=server, remote_path=path)
        task.volumes = [volume]
        task.max_run_duration = f"{60 * int(job.resources.get('runtime', 60))}s"
        task.max_retry_count = 0

    def get_container(self, job: JobExecutorInterface) -> batch_v1.Runnable.Container:
        """The container, with the volume."""
        container = super().get_container(job, entrypoint="/bin/sh")
        container.volumes = [*container.volumes, f"{self._mount}:{self._mount}"]
        return container

    def get_task_resources(self, job: JobExecutorInterface) -> batch_v1.ComputeResource:
        """CPU and memory of the rule, or of all the group's."""
        memory = math.ceil(job.resources.get("mem_mb", 1000) * 1e6 / 2**20)
        return batch_v1.ComputeResource(cpu_milli=1000 * job.resources.get("_cores", 1), memory_mib=memory)

    @property
    def _mount(self) -> Path:
        return Path(self.workflow.executor_settings.mount_path)
