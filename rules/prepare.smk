"""From input files to memory-mapped arrays: four separate jobs, so that new weights do not need the model.

Reads: the dataset, each calibration package's weights and geography, the block tables, config/.
Writes: {PREPARED}/source_snapshot.h5; {PREPARED}/<package>/{{geography,blocks,clones,takeup}}.h5, without geography for
a dataset with places of its own;
{PREPARED}/plan.json, catalog.json, dictionary.json, requests/<folder>/<area>.json.
local_h5.runs.steps declares the inputs and outputs of each step.
"""

import json

from local_h5.runs.resources import growing


rule prepare_snapshot:
    """The source dataset as arrays. No other step before the areas loads the model."""
    input:
        unpack(reads("snapshot")),
    output:
        **writes("snapshot"),
    log:
        f"{RESULTS}/logs/prepare/snapshot.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/snapshot.tsv"
    resources:
        mem_mb=growing(4000),
        runtime=30,
    params:
        run=step("snapshot", "prepare_snapshot.py"),
        sha256=option("--sha256", CONFIG.inputs.dataset_sha256),
        missing=SETTINGS.missing.as_json(),
        medicaid_cost=CONFIG.output.medicaid_cost,
        own_places=["--own-places"] if SETTINGS.from_dataset else [],
        year=option("--year", CONFIG.inputs.year),
        units=json.dumps(dict(CONFIG.inputs.units)),
    message:
        "Source snapshot: loading the dataset in policyengine_us (about a minute)"
    shell:
        "{params.run:q} --dataset {input.dataset:q} --variables {input.variables:q}"
        " --programmes {input.programmes:q} {params.sha256:q} --missing {params.missing:q}"
        " --medicaid-cost {params.medicaid_cost:q} {params.own_places:q} {params.year:q} --units {params.units:q}"
        " --output {output.snapshot:q} 2> {log:q}"


rule prepare_geography:
    """Geography and block table of a package."""
    input:
        unpack(reads("geography_{package}")),
    output:
        **writes("geography_{package}"),
    log:
        f"{RESULTS}/logs/prepare/geography_{{package}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/geography_{{package}}.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=20,
    params:
        run=step("geography_{package}", "prepare_geography.py"),
        unknown=CONFIG.geography.unknown_blocks,
    message:
        "Geography and block table of the {wildcards.package} package"
    shell:
        "{params.run:q} --geography {input.geography:q} --dataset {input.dataset:q}"
        " --block-districts {input.block_districts:q} --block-crosswalk {input.block_crosswalk:q}"
        " --county-cbsa {input.county_cbsa:q} --districts {input.districts:q} --unknown-blocks {params.unknown:q}"
        " --output-geography {output.geography:q} --output-blocks {output.blocks:q} 2> {log:q}"


rule prepare_clones:
    """Clone index of a package: which household clones have which weight, where."""
    input:
        unpack(reads("clones_{package}")),
    output:
        **writes("clones_{package}"),
    log:
        f"{RESULTS}/logs/prepare/clones_{{package}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/clones_{{package}}.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        run=step("clones_{package}", "prepare_clones.py"),
    message:
        "Clone index of the {wildcards.package} package"
    shell:
        "{params.run:q} --weights {input.weights:q} --geography {input.geography:q}"
        " --blocks {input.blocks:q} --output {output.clones:q} 2> {log:q}"


rule prepare_takeup:
    """Take-up rates of a package."""
    input:
        unpack(reads("takeup_{package}")),
    output:
        **writes("takeup_{package}"),
    log:
        f"{RESULTS}/logs/prepare/takeup_{{package}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/takeup_{{package}}.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        run=step("takeup_{package}", "prepare_takeup.py"),
        reported=CONFIG.takeup.reported,
        scope=CONFIG.takeup.scope,
    message:
        "Take-up rates of the {wildcards.package} package"
    shell:
        "{params.run:q} --snapshot {input.snapshot:q} --geography {input.geography:q}"
        " --programmes {input.programmes:q} --reported {params.reported:q} --scope {params.scope:q}"
        " --output {output.takeup:q} 2> {log:q}"


rule prepare_own_places:
    """Places, weights and take-up of a dataset that has them itself: instead of the three rules of a package."""
    input:
        unpack(reads("places_dataset")),
    output:
        **writes("places_dataset"),
    log:
        f"{RESULTS}/logs/prepare/places_dataset.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/places_dataset.tsv"
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        run=step("places_dataset", "prepare_own_places.py"),
        missing=SETTINGS.missing.as_json(),
        year=option("--year", CONFIG.inputs.year),
        units=json.dumps(dict(CONFIG.inputs.units)),
    message:
        "Places, weights and take-up of the dataset"
    shell:
        "{params.run:q} --dataset {input.dataset:q} --districts {input.districts:q}"
        " --programmes {input.programmes:q} --missing {params.missing:q} {params.year:q} --units {params.units:q}"
        " --output-blocks {output.blocks:q} --output-clones {output.clones:q} --output-takeup {output.takeup:q}"
        " 2> {log:q}"


checkpoint plan:
    """Which areas have to be built, by content."""
    input:
        unpack(reads("plan")),
    output:
        **writes("plan"),
    log:
        f"{RESULTS}/logs/prepare/plan.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare/plan.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        run=step("plan", "plan_areas.py"),
        config=RESOLVED,
    message:
        "Plan: which areas have to be built"
    shell:
        "{params.run:q} --config {params.config:q} --catalog {output.catalog:q}"
        " --dictionary {output.dictionary:q} --plan {output.plan:q} 2> {log:q}"
