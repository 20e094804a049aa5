"""Helpers of the rules: orders and stamps, by which a job learns that it has to run (local_h5.workflow.orders), and what
validation needs.

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


AREA_PACKAGE = {
    request.relative_path.with_suffix("").as_posix(): request.package
    for request in SETTINGS.requests
}
SOLE_PACKAGE = SETTINGS.packages[0].name if len(SETTINGS.packages) == 1 else None


def plan_file(wildcards):
    """Input: the plan, through the checkpoint."""
    return checkpoints.plan.get().output.plan


def area_plan():
    """Input: the plan; nothing when it holds, since each order says all that its job needs."""
    return [] if RUN.planned else ancient(plan_file)


def area_order(wildcards):
    """Input: the area's order, once the plan job has decided; the plan itself never makes an area run."""
    if not RUN.planned:
        plan_file(wildcards)
    return RUN.area_order(wildcards.folder, wildcards.area).as_posix()


def area_inputs(name):
    """Input: an array file of the area's package. Orders decide by content, so its time does not matter."""
    if (
        SOLE_PACKAGE is not None
    ):  # Snakemake calls a function for every area, at the cost of several paths
        return ancient(f"{PREPARED}/{SOLE_PACKAGE}/{name}.h5")
    return ancient(lambda wc: f"{PREPARED}/{area_package(wc)}/{name}.h5")


def area_package(wildcards):
    """The package that an area is built from."""
    return AREA_PACKAGE[f"{wildcards.folder}/{wildcards.area}"]


def clone_index(wildcards):
    """The clone index of an area's package; its size says what the job needs."""
    return Path(f"{PREPARED}/{area_package(wildcards)}/clones.h5")


TARGET_LEVEL = SETTINGS.policy.wants_targets
TARGET_DB = SETTINGS.target_database.as_posix() if TARGET_LEVEL else []
PARTS = list(range(SETTINGS.config["validation"]["processes"]))
FIGURES = [
    "error_by_family",
    "error_by_area_type",
    "district_map_target_error",
    "district_map_population_error",
    "weights",
    "sample_sizes",
]


def policy_file(wildcards):
    """Input: the policy; none before the first real run, so that a dry run works on a clean clone."""
    path = validation_file(SETTINGS)
    return path.as_posix() if path.exists() else []


def records(folder, area):
    """Input: the records that decide about an area."""
    levels = ["structural", "targets"] if TARGET_LEVEL else ["structural"]
    return [f"{RESULTS}/validation/{level}/{folder}/{area}.json" for level in levels]


def simulations(wildcards):
    """Input: the model runs that an area's values come from. New ones move no value of a household, so their time
    means nothing; local_h5.workflow.target_records decides by content."""
    parts = sources_of(f"{wildcards.folder}/{wildcards.area}", SETTINGS)
    return [f"{RESULTS}/validation/simulation_{part}.json" for part in parts]


def target_option(input):
    """Parameter: the option that names the target database, where there is one."""
    return ["--targets", input.targets] if input.targets else []


def built(part):
    """Input: sidecars and H5 of the areas whose values a part of the simulation provides."""
    requests = [r for r in SETTINGS.requests if part in parts_of(r, SETTINGS)]
    return [
        f"{SETTINGS.output(r)}{suffix}"
        for r in requests
        for suffix in ("", ".result.json")
    ]


def geography_input(path):
    """Input: a file that every package's geography is prepared from."""
    return lambda wc: before(f"geography_{wc.package}", path.as_posix())


def prepared_input(kind, *names):
    """Input: prepared files of the package that a step of the given kind reads."""

    def paths(wildcards):
        files = [f"{PREPARED}/{wildcards.package}/{name}.h5" for name in names]
        return before(f"{kind}_{wildcards.package}", files)

    return paths
