"""Snakemake's Slurm executor, with one Snakemake in a Slurm job instead of one more for every area of a group.

The plugin that this extends starts Snakemake in the job, which starts every job of the group by ``srun``, each with a
Snakemake of its own: 1.5 CPU-seconds and more, for an area that takes a third of one. That is for programs that run on
several nodes, of which there is none here. Nothing else differs, and ``executor: slurm`` works too: docs/clusters.md.
"""

# mypy: disable-error-code="import-untyped, misc"
# The plugin has no types.

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(SlurmExecutor):
    """Runs the jobs of a Slurm job in its batch step."""

    def additional_general_args(self) -> str:
        """Nothing: the executor of the Snakemake in the job is the local one."""
        return ""
