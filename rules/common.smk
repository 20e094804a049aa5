"""Orders and stamps: how a job learns that it has to run (local_h5.workflow.orders).

Reads: {PREPARED}/orders/, written when the main process reads the Snakefile or by the plan job.
Writes: nothing.
"""


def order(step):
    """Input: the order of a step; none before the first real run, so that a dry run works on a clean clone."""
    path = Path(f"{PREPARED}/orders/{step}.json")
    return path.as_posix() if path.exists() else []


def stamp(step):
    """Output: the digests of what the step read and wrote."""
    return f"{PREPARED}/stamps/{step}.json"


AREA_PACKAGE = {
    request.relative_path.with_suffix("").as_posix(): request.package
    for request in SETTINGS.requests
}
MEMORY_MB = {
    "national": 4000,
    "states": 1500,
    "districts": 400,
    "cities": 600,
    "custom": 1500,
}


def area_order(wildcards):
    """Input: the area's order, once the plan job has decided; the plan itself never makes an area run."""
    checkpoints.plan.get()
    return f"{PREPARED}/orders/{wildcards.folder}/{wildcards.area}.json"


def area_inputs(name):
    """Input: an array file of the area's package. Orders decide by content, so its time does not matter."""

    def path(wildcards):
        key = f"{wildcards.folder}/{wildcards.area}"
        return f"{PREPARED}/{AREA_PACKAGE[key]}/{name}.h5"

    return path
