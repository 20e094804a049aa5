"""One job per area: gather, write, re-read, and the result sidecar last.

Reads: the area's order (request and fingerprint) and the prepared arrays of its package.
Writes: {RESULTS}/{{national,states,districts,cities,custom}}/<area>.h5 and .h5.result.json.
"""

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
    return RUN.area_order(wildcards.folder, wildcards.area).as_posix()


def area_inputs(name):
    """Input: an array file of the area's package. Orders decide by content, so its time does not matter."""

    def path(wildcards):
        key = f"{wildcards.folder}/{wildcards.area}"
        if key not in AREA_PACKAGE:
            raise WorkflowError(
                f"{key}: not an area of this run; see areas in config/config.yaml"
            )
        return f"{PREPARED}/{AREA_PACKAGE[key]}/{name}.h5"

    return path


rule build_area:
    input:
        plan=ancient(lambda wc: checkpoints.plan.get().output.plan),
        order=area_order,
        snapshot=ancient(rules.prepare_snapshot.output.snapshot),
        blocks=ancient(area_inputs("blocks")),
        clones=ancient(area_inputs("clones")),
        takeup=ancient(area_inputs("takeup")),
    output:
        h5=f"{RESULTS}/{{folder}}/{{area}}.h5",
        result=f"{RESULTS}/{{folder}}/{{area}}.h5.result.json",
    log:
        f"{RESULTS}/logs/{{folder}}/{{area}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{folder}}/{{area}}.tsv"
    group:
        "areas"
    resources:
        mem_mb=lambda wc, attempt: MEMORY_MB[wc.folder] * attempt,
        runtime=10,
    params:
        results=RESULTS,
        marks=f"{PREPARED}/marks",
        compression=config["output"]["compression"],
        takeup_filter=(
            ""
            if config["takeup"]["filter"] is None
            else f"--takeup-filter {' '.join(config['takeup']['filter'])}"
        ),
    message:
        "{wildcards.folder}/{wildcards.area}"
    shell:
        "python scripts/build_area.py --order {input.order} --snapshot {input.snapshot} --blocks {input.blocks}"
        " --clones {input.clones} --takeup {input.takeup} --results {params.results} --marks {params.marks}"
        " --compression {params.compression} {params.takeup_filter} 2> {log}"
