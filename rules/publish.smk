"""Publish a finished run as one collection of a content-addressed store: `snakemake publish`.

Reads: every area's H5, sidecar and approval (rules/validate.smk); with output.nation_parquet the nation by district
(rules/nation.smk); the store.
Writes: the store (store.url); {RESULTS}/release_manifest.json for consumers of the old layout (store.release says of
which repository), and {RESULTS}/local_area/release_manifest.json for those of the area-coded file of the nation.
There is no `output:` and no `benchmark:` on purpose: only such a rule runs at every request, and only the store knows its
content. Files that the store has are not sent again. The script prints what changes for readers, and the time that it
took. A run that lacks areas of the one before is refused unless store.allow_removal is true.
"""

import json


rule publish:
    """The finished run into a store, as one collection; @latest moves to it."""
    input:
        finished=lambda wc: RUN.wanted(),
    log:
        f"{RESULTS}/logs/publish.log",
    localrule: True
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        run=python("publish_collection.py"),
        config=RESOLVED,
        release=f"{RESULTS}/release_manifest.json",
        store=option("--store", CONFIG.store.url),
        licence=option("--licence", CONFIG.store.licence),
        citation=option("--citation", CONFIG.store.citation),
        reason=option("--reason", CONFIG.store.reason),
        by=option("--by", CONFIG.store.by),
        notes=["--notes", json.dumps(dict(CONFIG.notes))] if CONFIG.notes else [],
        removal=["--allow-removal"] if CONFIG.store.allow_removal else [],
    message:
        "The finished run into the store, as one collection"
    shell:
        "{params.run:q} --config {params.config:q} --release-manifest {params.release:q}"
        " {params.store:q} {params.licence:q} {params.citation:q} {params.reason:q} {params.by:q} {params.notes:q}"
        " {params.removal:q} 2> {log:q}"
