"""The nation by district: a Parquet file for each entity, and the index of their ranges (docs/nation.md).

Reads: the nation's H5, sidecar and approval (rules/validate.smk).
Writes: {RESULTS}/national/US/<entity>.parquet; {RESULTS}/national/US/index.parquet, last.
Config: output.nation_parquet makes it a part of `all`, of `national` and of `publish`.
"""

from local_h5.config.layout import NATION
from local_h5.runs.resources import area_memory_mb, area_minutes


rule nation_parquet:
    """The nation by district, as Parquet, for readers of some columns of some districts."""
    input:
        unpack(reads("nation_parquet")),
        plan=after_plan,
    output:
        **writes("nation_parquet"),
    log:
        f"{RESULTS}/logs/nation/nation_parquet.log",
    benchmark:
        f"{RESULTS}/benchmarks/nation/nation_parquet.tsv"
    resources:
        # An entity's columns are in memory together, as in a file of tables.
        mem_mb=lambda wc, attempt: area_memory_mb(
            "national", clone_index(NATION), attempt, "tables"
        ),
        runtime=lambda wc, attempt: (
            5 * area_minutes("national", clone_index(NATION), attempt)
        ),
    params:
        run=step("nation_parquet", "nation_parquet.py"),
        folder=lambda wc, output: Path(output.index).parent.as_posix(),
    message:
        "The nation by district, as Parquet"
    shell:
        "{params.run:q} --h5 {input.h5:q} --sidecar {input.sidecar:q} --folder {params.folder:q} 2> {log:q}"
