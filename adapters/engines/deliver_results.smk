"""Files that may be published, copied to an object store in the published layout, for readers that know paths only.

    snakemake -s adapters/engines/deliver_results.smk --cores 2 --config from=results to=gs://BUCKET/PREFIX

Reads: {from}/published/<folder>/<area>.json, which exists for an area that may be published; {from}/<folder>/<area>.h5
and its result sidecar.
Writes: {to}/<folder>/<area>.h5 and, when that is there, its sidecar, by Snakemake's storage plugin for s3:// or gs://;
credentials and endpoint are the plugin's matter. Again when a file here is newer than its object.

A workflow of its own, as stage_inputs.smk: the main one dates and compares files, and an object cannot be dated.
"""

from pathlib import Path

STAMPS = Path(config["from"]) / "published"


wildcard_constraints:
    area="[^/]+/[^/]+",


localrules:
    all,
    file,
    sidecar,


rule all:
    input:
        [
            storage(
                f"{config['to']}/{stamp.relative_to(STAMPS).with_suffix('')}.h5.result.json",
                retrieve=False,
            )
            for stamp in sorted(STAMPS.glob("*/*.json"))
        ],


rule file:
    input:
        f"{config['from']}/{{area}}.h5",
    output:
        storage(f"{config['to']}/{{area}}.h5"),
    log:
        f"{config['from']}/logs/deliver/{{area}}.h5.log",
    message:
        "{wildcards.area}"
    shell:
        "cp {input} {output} 2> {log}"


rule sidecar:
    input:
        file=storage(f"{config['to']}/{{area}}.h5", retrieve=False),
        sidecar=f"{config['from']}/{{area}}.h5.result.json",
    output:
        storage(f"{config['to']}/{{area}}.h5.result.json"),
    log:
        f"{config['from']}/logs/deliver/{{area}}.log",
    message:
        "{wildcards.area}: sidecar"
    shell:
        "cp {input.sidecar} {output} 2> {log}"
