"""Files that may be published, copied to an object store in the published layout, for readers that know paths only.

    snakemake -s adapters/engines/deliver_results.smk --cores 2 --config from=results to=gs://BUCKET/PREFIX

Reads: {from}/<folder>/<area>.h5 and its result sidecar, of the areas with an approval of that very sidecar,
{from}/published/<folder>/<area>.json.
Writes: {to}/<folder>/<area>.h5 and, when that is there, its sidecar, by Snakemake's storage plugin for s3:// or gs://;
credentials and endpoint are the plugin's matter. Again when a file here is newer than its object.

A workflow of its own, as stage_inputs.smk: the main one compares files by content, and the bytes of an object would
have to be fetched for that.
"""

import hashlib
import json
from pathlib import Path

RESULTS = Path(config["from"])
APPROVALS = RESULTS / "published"


def approved():
    """Folder and name of the areas whose approval names their sidecar; one of an earlier file counts for nothing."""
    for path in sorted(APPROVALS.glob("*/*.json")):
        area = path.relative_to(APPROVALS).with_suffix("").as_posix()
        try:
            named = json.loads(path.read_text())["sidecar_sha256"]
            sidecar = Path(f"{RESULTS / area}.h5.result.json").read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if named == hashlib.sha256(sidecar).hexdigest():
            yield area


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
                f"{config['to']}/{area}.h5.result.json",
                retrieve=False,
            )
            for area in approved()
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
