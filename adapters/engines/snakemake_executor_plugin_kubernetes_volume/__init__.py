"""Snakemake's Kubernetes executor, for pods that share one volume with the main process.

The plugin that this extends takes it that pods share nothing, so that every input and output travels through an object
store. What is rebuilt is decided here by reading files in the results folder and by dating them, which an object store
has no notion of. So the project's folder lies on a volume that many pods can mount (ReadWriteMany), under the same path
in the pods as for the main process, and jobs run in it. Nothing else differs: docs/clusters.md.
"""

# mypy: disable-error-code="import-untyped, misc"
# The plugins and their interface have no types.

import shlex
from dataclasses import replace
from pathlib import Path

from snakemake_executor_plugin_kubernetes import Executor as KubernetesExecutor
from snakemake_executor_plugin_kubernetes import ExecutorSettings
from snakemake_executor_plugin_kubernetes import common_settings as without_volume
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = replace(
    without_volume,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
    pass_default_storage_provider_args=False,
)


class Executor(KubernetesExecutor):
    """Runs each job in the project's folder, on the volume."""

    def __post_init__(self) -> None:
        """Check that the folder is on a volume before anything is started.

        Raises:
            WorkflowError: no persistent volume is mounted at or above it.
        """
        folder, mounts = Path(self.workflow.workdir_init), self.workflow.executor_settings.persistent_volumes
        if not any(folder.is_relative_to(volume.path) for volume in mounts):
            raise WorkflowError(
                f"--kubernetes-volume-persistent-volumes: expected a claim that is mounted at or above {folder}, found "
                f"{', '.join(volume.unparse() for volume in mounts) or 'none'}. Put the project on a volume that pods "
                "can mount, under the same path: docs/clusters.md."
            )
        super().__post_init__()

    def get_job_exec_prefix(self, job: JobExecutorInterface) -> str:
        """What a pod does first."""
        return f"cd {shlex.quote(str(self.workflow.workdir_init))}"
