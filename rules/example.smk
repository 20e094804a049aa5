"""Example inputs from public files. Nothing here is an estimate: geography is synthetic, ages are partly imputed.

Reads: {RESULTS}/downloads/, from rules/fetch.smk.
Writes, under {RESULTS}/example/: population.csv, source.h5 and source.h5.json, calibration_weights.npy,
geography_assignment.npz, calibration_package.json.
Config: example.households, example.clones, example.seed, example.certainty_amount, example.minimum_per_state,
example.zero_share.
"""


rule example_population:
    """ACS population of every state and district."""
    input:
        unpack(reads("example_population")),
    output:
        **writes("example_population"),
    log:
        f"{RESULTS}/logs/example/population.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/population.tsv"
    resources:
        mem_mb=200,
        runtime=5,
    params:
        run=step("example_population", "example_population.py"),
    message:
        "ACS population of every state and district"
    shell:
        "{params.run:q} --states {input.states:q} --districts {input.districts:q}"
        " --output {output.population:q} 2> {log:q}"


rule example_source:
    """The example's source dataset, from public microdata."""
    input:
        unpack(reads("example_source")),
    output:
        **writes("example_source"),
    log:
        f"{RESULTS}/logs/example/source.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/source.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        run=step("example_source", "example_source.py"),
        households=CONFIG.example.households,
        seed=CONFIG.example.seed,
        certainty_amount=CONFIG.example.certainty_amount,
        minimum_per_state=CONFIG.example.minimum_per_state,
    message:
        "Example source dataset of {params.households} households"
    shell:
        "{params.run:q} --microdata {input.microdata:q} --weights {input.weights:q}"
        " --growth {input.growth:q} --population {input.population:q} --output {output.source:q}"
        " --households {params.households:q} --seed {params.seed:q}"
        " --certainty-amount {params.certainty_amount:q}"
        " --minimum-per-state {params.minimum_per_state:q} 2> {log:q}"


rule example_package:
    """The example's weights and geography (synthetic)."""
    input:
        unpack(reads("example_package")),
    output:
        **writes("example_package"),
    log:
        f"{RESULTS}/logs/example/package.log",
    benchmark:
        f"{RESULTS}/benchmarks/example/package.tsv"
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        run=step("example_package", "example_package.py"),
        clones=CONFIG.example.clones,
        seed=CONFIG.example.seed,
        zero_share=CONFIG.example.zero_share,
    message:
        "Example calibration package of {params.clones} clones (synthetic geography)"
    shell:
        "{params.run:q} --source {input.source:q} --blocks {input.blocks:q}"
        " --population {input.population:q} --weights {output.weights:q} --geography {output.geography:q}"
        " --metadata {output.metadata:q} --clones {params.clones:q} --seed {params.seed:q}"
        " --zero-share {params.zero_share:q} 2> {log:q}"
