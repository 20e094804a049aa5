"""Publish a finished run as one collection of a content-addressed store: `snakemake publish`.

Reads: every area's H5 and sidecar; the store.
Writes: the store (store.url); {RESULTS}/release_manifest.json for consumers of the old layout.
The report lives only while a run needs it, so that asking again always asks the store; what is there is not sent again.
"""

import shlex

STORE = f"--store {shlex.quote(config['store']['url'])}" if config["store"]["url"] else ""


rule publish_collection:
    input:
        sidecars=SETTINGS.outputs(),
    output:
        report=temp(f"{RESULTS}/publish_report.txt"),
        release=f"{RESULTS}/release_manifest.json",
    log:
        f"{RESULTS}/logs/publish.log",
    benchmark:
        f"{RESULTS}/benchmarks/publish.tsv"
    localrule: True
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        config=resolved_config(SETTINGS).as_posix(),
        store=STORE,
    message:
        "Publishing {RESULTS} as one collection"
    shell:
        "python scripts/publish_collection.py --config {params.config} {params.store} --report {output.report}"
        " --release-manifest {output.release} 2> {log}"


rule publish:
    input:
        report=rules.publish_collection.output.report,
    localrule: True
    message:
        "Published"
    shell:
        "cat {input.report}"
