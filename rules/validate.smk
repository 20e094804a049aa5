"""Validation: whether an area's file may be published, and the report about all of them.

Reads: every area's H5, sidecar and structural record (rules/build.smk); the target database.
Writes: {RESULTS}/published/<folder>/<area>.json, the approval, which exists only for a file that may be published. With
validation.level: targets also {RESULTS}/example/targets.db, {RESULTS}/validation/simulation_<part>.json (and, beside it,
values/, which is kept between runs), {RESULTS}/validation/targets/<folder>/<area>.json.
On request (`snakemake report`): {RESULTS}/validation/{{areas,targets}}.parquet, summary.json, report.html, figures/.

A check never fails because of a bad file: it records the verdict, and the file is kept for inspection. The job of the
approval fails, and only jobs that depend on that area fail with it.
"""

from local_h5.runs.steps import FIGURES


rule publish_area:
    """The approval of an area. Fails with the reasons if the policy does not allow it."""
    input:
        unpack(of_area(RUN.approval_inputs)),
        plan=after_plan,
    output:
        approval=f"{RESULTS}/published/{{folder}}/{{area}}.json",
    log:
        f"{RESULTS}/logs/published/{{folder}}/{{area}}.log",
    localrule: True  # in a group, its failure would also delete files of others
    resources:
        mem_mb=100,
        runtime=5,
    params:
        run=python("publish_area.py"),
        warm=True,  # docs/warm-jobs.md
    message:
        "{wildcards.folder}/{wildcards.area} may be published"
    shell:
        "{params.run:q} --sidecar {input.sidecar:q} --records {input.records:q}"
        " --approval {output.approval:q} 2> {log:q}"


rule example_targets:
    """The example's target database."""
    input:
        unpack(reads("example_targets")),
    output:
        **writes("example_targets"),
    log:
        f"{RESULTS}/logs/example/targets.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/targets.tsv"
    resources:
        mem_mb=300,
        runtime=5,
    params:
        run=step("example_targets", "example_targets.py"),
    message:
        "Example target database: ages and SNAP of every state and district"
    shell:
        "{params.run:q} --age-by-state {input.age_by_state:q}"
        " --age-by-district {input.age_by_district:q} --snap-by-district {input.snap_by_district:q}"
        " --output {output.targets:q} 2> {log:q}"


rule simulate_targets:
    """Model runs for the targets, some states at a time."""
    input:
        unpack(lambda wc: inputs(*RUN.simulation_inputs(int(wc.part)))),
        plan=after_plan,
    output:
        runs=f"{RESULTS}/validation/simulation_{{part}}.json",
    log:
        f"{RESULTS}/logs/validation/simulation_{{part}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation/simulation_{{part}}.tsv"
    wildcard_constraints:
        part=r"\d+",
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        run=python("simulate_targets.py"),
        config=RESOLVED,
    message:
        "Model runs for the targets, part {wildcards.part}"
    shell:
        "{params.run:q} --config {params.config:q} --targets {input.targets:q} --part {wildcards.part:q}"
        " --output {output.runs:q} 2> {log:q}"


rule validate_targets:
    """One area's file against its targets."""
    input:
        unpack(of_area(RUN.record_inputs)),
        plan=after_plan,
    output:
        record=f"{RESULTS}/validation/targets/{{folder}}/{{area}}.json",
    log:
        f"{RESULTS}/logs/validation/{{folder}}/{{area}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation/{{folder}}/{{area}}.tsv"
    group:
        "validate"
    resources:
        mem_mb=lambda wc: 4000 if wc.folder == "national" else 800,
        runtime=20,
    params:
        run=python("validate_targets.py"),
        warm=True,  # docs/warm-jobs.md
        config=RESOLVED,
    message:
        "{wildcards.folder}/{wildcards.area} against its targets"
    shell:
        "{params.run:q} --config {params.config:q} --targets {input.targets:q} --sidecar {input.sidecar:q}"
        " --record {output.record:q} 2> {log:q}"


rule report:
    """One HTML page about the run, with its tables as Parquet."""
    input:
        unpack(reads("report")),
        plan=after_plan,
    output:
        **{
            role: (
                report(
                    path,
                    caption=f"report/{'page' if role == 'page' else 'figure'}.rst",
                    category="Validation",
                    labels={"what": role.replace("_", " ")},
                )
                if role in ("page", *FIGURES)
                else path
            )
            for role, path in writes("report").items()
        },
    log:
        f"{RESULTS}/logs/validation/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation/report.tsv"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        run=step("report", "write_report.py"),
        config=RESOLVED,
        folder=lambda wc, output: Path(output.page).parent.as_posix(),
    message:
        "Report of the run"
    shell:
        "{params.run:q} --config {params.config:q} --folder {params.folder:q} 2> {log:q}"
