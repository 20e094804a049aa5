"""Validation: whether an area's file may be published, and the report about all of them.

Reads: every area's H5, sidecar and structural record (rules/build.smk); the target database; {PREPARED}/validation.json,
the policy, which the main process writes when it changes.
Writes: {RESULTS}/published/<folder>/<area>.json, the stamp that exists only for a file that may be published. With
validation.level: targets also {RESULTS}/example/targets.db, {RESULTS}/validation/simulation_<part>.json (and, beside it,
values/, which is kept between runs), {RESULTS}/validation/targets/<folder>/<area>.json.
On request (`snakemake report`): {RESULTS}/validation/{{areas,targets}}.parquet, summary.json, report.html, figures/.

A check never fails because a file is bad: it records the verdict, and the file is kept for inspection. The stamp's job
fails, and with it nothing but what depends on that area.
"""


rule publish_area:
    """The stamp of an area that the policy lets be published; fails with the reasons otherwise."""
    input:
        sidecar=f"{RESULTS}/{{folder}}/{{area}}.h5.result.json",
        records=lambda wc: records(wc.folder, wc.area),
    output:
        stamp=f"{RESULTS}/published/{{folder}}/{{area}}.json",
    log:
        f"{RESULTS}/logs/published/{{folder}}/{{area}}.log",
    localrule: True  # in a group its failure would take the others' files along
    resources:
        mem_mb=100,
        runtime=5,
    message:
        "{wildcards.folder}/{wildcards.area} may be published"
    shell:
        "python scripts/publish_area.py --sidecar {input.sidecar:q} --records {input.records:q}"
        " --stamp {output.stamp:q} 2> {log:q}"


rule example_targets:
    """The example's target database."""
    input:
        order=order("example_targets"),
        age_by_state=before(
            "example_targets", rules.fetch_geography_tables.output.age_by_state
        ),
        age_by_district=before(
            "example_targets", rules.fetch_geography_tables.output.age_by_district
        ),
        snap_by_district=before(
            "example_targets", rules.fetch_geography_tables.output.snap_by_district
        ),
    output:
        targets=f"{RESULTS}/example/targets.db",
        stamp=stamp("example_targets"),
    log:
        f"{RESULTS}/logs/example/targets.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/targets.tsv"
    resources:
        mem_mb=300,
        runtime=5,
    message:
        "Example target database: ages and SNAP of every state and district"
    shell:
        "python scripts/example_targets.py --age-by-state {input.age_by_state:q}"
        " --age-by-district {input.age_by_district:q} --snap-by-district {input.snap_by_district:q}"
        " --output {output.targets:q} 2> {log:q}"
        " && python -m local_h5.workflow.record --order {input.order:q} --stamp {output.stamp:q} 2>> {log:q}"


rule simulate_targets:
    """Model runs for the targets, some states at a time."""
    input:
        policy=policy_file,
        targets=TARGET_DB,
        built=lambda wc: built(int(wc.part)),
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
        config=resolved_config(SETTINGS).as_posix(),
        targets=lambda wc, input: target_option(input),
    message:
        "Model runs for the targets, part {wildcards.part}"
    shell:
        "python scripts/simulate_targets.py --config {params.config:q} {params.targets:q} --part {wildcards.part:q}"
        " --output {output.runs:q} 2> {log:q}"


rule validate_targets:
    """One area's file against its targets."""
    input:
        policy=policy_file,
        targets=TARGET_DB,
        h5=f"{RESULTS}/{{folder}}/{{area}}.h5",
        sidecar=f"{RESULTS}/{{folder}}/{{area}}.h5.result.json",
        runs=ancient(simulations),
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
        config=resolved_config(SETTINGS).as_posix(),
        targets=lambda wc, input: target_option(input),
    message:
        "{wildcards.folder}/{wildcards.area} against its targets"
    shell:
        "python scripts/validate_targets.py --config {params.config:q} {params.targets:q} --sidecar {input.sidecar:q}"
        " --record {output.record:q} 2> {log:q}"


rule report:
    """One HTML page about the run, with its tables as Parquet."""
    input:
        sidecars=lambda wc: SETTINGS.outputs(),
        records=lambda wc: [
            path
            for request in SETTINGS.requests
            for path in records(FOLDERS[request.area_type], request.area_id)
        ],
    output:
        page=report(
            f"{RESULTS}/validation/report.html",
            category="Validation",
            labels={"figure": "report"},
        ),
        areas=f"{RESULTS}/validation/areas.parquet",
        targets=f"{RESULTS}/validation/targets.parquet",
        summary=f"{RESULTS}/validation/summary.json",
        figures=report(
            expand(f"{RESULTS}/validation/figures/{{name}}.svg", name=FIGURES),
            category="Validation",
        ),
    log:
        f"{RESULTS}/logs/validation/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation/report.tsv"
    resources:
        mem_mb=1000,
        runtime=15,
    params:
        config=resolved_config(SETTINGS).as_posix(),
        folder=lambda wc, output: Path(output.page).parent.as_posix(),
    message:
        "Report of the run"
    shell:
        "python scripts/write_report.py --config {params.config:q} --folder {params.folder:q} 2> {log:q}"
