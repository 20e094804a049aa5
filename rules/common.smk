"""Helpers of the rules. What is stale is decided by content (local_h5.workflow.run): the inputs of a job that is up to
date are `ancient`, so that Snakemake runs it for no date; a stale job is forced when its inputs are asked for.

Reads: nothing but what comparing reads.
Writes: nothing.
"""

from snakemake.exceptions import IncompleteCheckpointException


def inputs(files, count):
    """Input: files by name, for `unpack`."""
    return files if count else {name: ancient(path) for name, path in files.items()}


def reads(step):
    """Input: what a step reads."""
    return lambda wildcards: inputs(
        *RUN.step_inputs(step.format(**dict(wildcards.items())))
    )


def writes(step):
    """Output: what a step writes, and its trace; a fetched file is known by its digest and needs none."""
    made = {role: path.as_posix() for role, path in RUN.step(step).outputs.items()}
    return made if step.startswith("fetch_") else {**made, "trace": RUN.trace(step)}


def python(name):
    """Parameter: the command that runs a script. (A rule of a module sees parameters, and no names of the module.)"""
    return ["python", f"{SCRIPTS}/{name}"]


def step(name, file):
    """Parameter: the command that runs the script of a step, and then writes the step's trace."""
    run = ["python", "-m", "local_h5.workflow.traced", "--config", RESOLVED]
    return lambda wildcards: [
        *run,
        name.format(**dict(wildcards.items())),
        f"{SCRIPTS}/{file}",
    ]


def after_plan(wildcards):
    """Input: the plan, for what belongs to areas; once it has run, Snakemake asks for all inputs of the job again."""
    if not RUN.waits_for_plan:
        return []
    return ancient(checkpoints.plan.get().output.plan)


def plan_is_known():
    """Whether the areas can be compared; before the plan has run they cannot."""
    if not RUN.waits_for_plan:
        return True
    try:
        checkpoints.plan.get()
    except IncompleteCheckpointException:
        return False
    return True


def of_area(ask):
    """Input: what a job of an area reads, by the wildcards folder and area."""
    return lambda wc: inputs(*ask(f"{wc.folder}/{wc.area}", known=plan_is_known()))


def clone_index(wildcards):
    """The clone index of an area's package; its size says what the job needs."""
    return Path(
        f"{PREPARED}/{AREA_PACKAGE[f'{wildcards.folder}/{wildcards.area}']}/clones.h5"
    )


AREA_PACKAGE = {request.name: request.package for request in SETTINGS.requests}
