"""Example inputs from public files. Nothing here is an estimate: geography is synthetic, ages are partly imputed.

Reads: what rules/fetch.smk put into {RESULTS}/downloads/ (include it first).
Writes, under {RESULTS}/example/: population.csv, source.h5 and source.h5.json, calibration_weights.npy,
geography_assignment.npz, calibration_package.json.
Config: example.households, example.clones, example.seed, example.certainty_amount, example.minimum_per_state,
example.zero_share.
"""

EXAMPLE = f"{RESULTS}/example"


rule example_population:
    """ACS population of every state and district."""
    input:
        order=order("example_population"),
        states=before(
            "example_population", rules.fetch_geography_tables.output.age_by_state
        ),
        districts=before(
            "example_population", rules.fetch_geography_tables.output.age_by_district
        ),
    output:
        population=f"{EXAMPLE}/population.csv",
        stamp=stamp("example_population"),
    log:
        f"{RESULTS}/logs/example/population.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/population.tsv"
    resources:
        mem_mb=200,
        runtime=5,
    message:
        "ACS population of every state and district"
    shell:
        "python scripts/example_population.py --states {input.states} --districts {input.districts}"
        " --output {output.population} 2> {log}"
        " && python -m local_h5.workflow.record --order {input.order} --stamp {output.stamp} 2>> {log}"


rule example_source:
    """The example's source dataset, from public microdata."""
    input:
        order=order("example_source"),
        microdata=before("example_source", rules.fetch_microdata.output.microdata),
        weights=before("example_source", rules.fetch_microdata.output.weights),
        growth=before("example_source", rules.fetch_microdata.output.growth),
        population=before("example_source", rules.example_population.output.population),
    output:
        source=f"{EXAMPLE}/source.h5",
        metadata=f"{EXAMPLE}/source.h5.json",
        stamp=stamp("example_source"),
    log:
        f"{RESULTS}/logs/example/source.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/source.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        households=config["example"]["households"],
        seed=config["example"]["seed"],
        certainty_amount=config["example"]["certainty_amount"],
        minimum_per_state=config["example"]["minimum_per_state"],
    message:
        "Example source dataset of {params.households} households"
    shell:
        "python scripts/example_source.py --microdata {input.microdata} --weights {input.weights}"
        " --growth {input.growth} --population {input.population} --output {output.source}"
        " --households {params.households} --seed {params.seed}"
        " --certainty-amount {params.certainty_amount}"
        " --minimum-per-state {params.minimum_per_state} 2> {log}"
        " && python -m local_h5.workflow.record --order {input.order} --stamp {output.stamp} 2>> {log}"


rule example_package:
    """The example's weights and geography (synthetic)."""
    input:
        order=order("example_package"),
        source=before("example_package", rules.example_source.output.source),
        blocks=before("example_package", rules.fetch_geography_tables.output.blocks),
        population=before("example_package", rules.example_population.output.population),
    output:
        weights=f"{EXAMPLE}/calibration_weights.npy",
        geography=f"{EXAMPLE}/geography_assignment.npz",
        metadata=f"{EXAMPLE}/calibration_package.json",
        stamp=stamp("example_package"),
    log:
        f"{RESULTS}/logs/example/package.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/package.tsv"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        clones=config["example"]["clones"],
        seed=config["example"]["seed"],
        zero_share=config["example"]["zero_share"],
    message:
        "Example calibration package of {params.clones} clones (synthetic geography)"
    shell:
        "python scripts/example_package.py --source {input.source} --blocks {input.blocks}"
        " --population {input.population} --weights {output.weights} --geography {output.geography}"
        " --metadata {output.metadata} --clones {params.clones} --seed {params.seed}"
        " --zero-share {params.zero_share} 2> {log}"
        " && python -m local_h5.workflow.record --order {input.order} --stamp {output.stamp} 2>> {log}"
