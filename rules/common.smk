"""Helpers of the rules. Content decides what is stale (local_h5.workflow.run): the inputs of a job that is up to date are
`ancient`, so that no date makes Snakemake run it. A stale job is forced when Snakemake asks for its inputs.

Reads: the files that are compared.
Writes: nothing.
"""


def inputs(files, count):
    """Input: files by name, for `unpack`."""
    return files if count else {name: ancient(path) for name, path in files.items()}


def reads(step):
    """Input: the files that a step reads."""
    return lambda wildcards: inputs(
        *RUN.step_inputs(step.format(**dict(wildcards.items())))
    )


def writes(step):
    """Output: the files that a step writes, and its trace. A fetched file has a pinned digest and needs no trace."""
    made = {role: path.as_posix() for role, path in RUN.step(step).outputs.items()}
    return made if step.startswith("fetch_") else {**made, "trace": RUN.trace(step)}


def python(name):
    """Parameter: the command that runs a script. (Rules of a module can use parameters, but no names of the module.)"""
    return ["python", f"{SCRIPTS}/{name}"]


def step(name, file):
    """Parameter: the command that runs the script of a step, and then writes the step's trace."""
    run = ["python", "-m", "local_h5.workflow.traced", "--config", RESOLVED]
    return lambda wildcards: [
        *run,
        name.format(**dict(wildcards.items())),
        f"{SCRIPTS}/{file}",
    ]


def option(name, value):
    """Parameter: an option of a command, left out where there is no value."""
    return [] if value is None else [name, str(value)]


def after_plan(wildcards):
    """Input: the plan, for jobs of areas. After it has run, Snakemake asks for all inputs of the job again."""
    if not RUN.waits_for_plan:
        return []
    return ancient(checkpoints.plan.get().output.plan)


def of_area(ask):
    """Input: the files that a job of an area reads, by the wildcards folder and area."""
    return lambda wc: inputs(*ask(f"{wc.folder}/{wc.area}"))


def clone_index(area):
    """The clone index of an area's package, by `<folder>/<area>`. Its size decides the resources of a job."""
    return Path(f"{PREPARED}/{AREA_PACKAGE[area]}/clones.h5")


AREA_PACKAGE = {request.name: request.package for request in SETTINGS.requests}
