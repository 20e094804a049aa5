"""Orders and stamps: how a job learns that it has to run (local_h5.workflow.orders).

Reads: {PREPARED}/orders/, written when the main process reads the Snakefile or by the plan job.
Writes: nothing.
"""


def order(step):
    """Input: the order of a step; none before the first real run, so that a dry run works on a clean clone."""
    path = RUN.step_order(step)
    return path.as_posix() if path.exists() else []


def before(step, path):
    """Input: what a step reads. Only a dry run, which dates nothing, has to be told that the time means nothing."""
    return ancient(path) if RUN.ignores_times(step) else path


def stamp(step):
    """Output: the digests of what the step read and wrote."""
    return f"{PREPARED}/stamps/{step}.json"


RECORD = "python -m local_h5.workflow.record --order {input.order} --stamp {output.stamp} 2>> {log}"
