"""Raw inputs from an object store, copied to the project's folder before a run: what an engine's volume starts with.

    snakemake -s adapters/engines/stage_inputs.smk --cores 2 \
        --config from=s3://BUCKET/PREFIX to=inputs files="weights.npy geography.npz source.h5"

Reads: {from}/<file>, by Snakemake's storage plugin for s3:// or gs://; credentials and endpoint are the plugin's matter.
Writes: {to}/<file>, when it is missing or older than the object. A copy with the same bytes rebuilds nothing.

A workflow of its own, because the main one compares its inputs by content when it starts, so they have to be there.
"""

FILES = config["files"].split()


localrules:
    all,
    stage,


rule all:
    input:
        expand("{to}/{file}", to=config["to"], file=FILES),


rule stage:
    input:
        storage(f"{config['from']}/{{file}}"),
    output:
        f"{config['to']}/{{file}}",
    log:
        f"{config['to']}/.stage/{{file}}.log",
    message:
        "{wildcards.file}"
    shell:
        "cp {input} {output} 2> {log}"
