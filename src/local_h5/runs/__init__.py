"""Steps, fingerprints, staleness, the plan, and texts about them for people. Independent of Snakemake."""
