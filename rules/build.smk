"""One job per area: gather, write, re-read, and the result sidecar last.

Reads: the area's request and fingerprint, and the prepared arrays of its package.
Writes: {RESULTS}/{{national,states,districts,cities,custom}}/<area>.h5 and .h5.result.json;
{RESULTS}/validation/structural/…/<area>.json. A file that fails its checks is kept; rules/validate.smk decides.
"""

from local_h5.runs.resources import area_memory_mb, area_minutes


rule build_area:
    """One area's H5, its sidecar and the record of its structural checks."""
    input:
        unpack(of_area(RUN.area_inputs)),
        plan=after_plan,
    output:
        h5=f"{RESULTS}/{{folder}}/{{area}}.h5",
        result=f"{RESULTS}/{{folder}}/{{area}}.h5.result.json",
        record=f"{RESULTS}/validation/structural/{{folder}}/{{area}}.json",
    log:
        f"{RESULTS}/logs/{{folder}}/{{area}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/{{folder}}/{{area}}.tsv"
    group:
        lambda wildcards: f"areas_{wildcards.folder}"  # each type has its own number of areas in a job
    resources:
        mem_mb=lambda wc, attempt: area_memory_mb(
            wc.folder,
            clone_index(f"{wc.folder}/{wc.area}"),
            attempt,
            CONFIG.output.form,
        ),
        runtime=lambda wc, attempt: area_minutes(
            wc.folder, clone_index(f"{wc.folder}/{wc.area}"), attempt
        ),
        area_slots=1,  # how many areas of a group run at a time: profiles/slurm
    params:
        run=python("build_area.py"),
        warm=True,  # docs/warm-jobs.md
        config=SETTINGS.layout.area_config.as_posix(),
        compression=CONFIG.output.compression,
        at_large_code=CONFIG.areas.at_large_code,
        form=CONFIG.output.form,
        takeup_filter=(
            []
            if CONFIG.takeup.filter is None
            else ["--takeup-filter", *CONFIG.takeup.filter]
        ),
    message:
        "{wildcards.folder}/{wildcards.area}"
    shell:
        "{params.run:q} --request {input.request:q} --snapshot {input.snapshot:q} --blocks {input.blocks:q}"
        " --clones {input.clones:q} --takeup {input.takeup:q} --output {output.h5:q}"
        " --config {params.config:q} --record {output.record:q}"
        " --compression {params.compression:q} --at-large-code {params.at_large_code:q}"
        " --form {params.form:q} {params.takeup_filter:q} 2> {log:q}"
