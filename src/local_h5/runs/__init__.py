"""What a run has to do: steps, fingerprints, staleness, the plan, and what people read about it. Knows no Snakemake."""
