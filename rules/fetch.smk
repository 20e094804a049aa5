"""Public files, fetched once: pinned members of wheels, trusted by sha256.

Reads: config/example_sources.yaml (packages, versions and digests); the package index, unless the cache has the pinned
bytes. No other rule of the workflow uses the network.
Writes: {RESULTS}/downloads/ (copies from the cache), logs/fetch/, benchmarks/fetch/.
Config: example.cache, the folder that keeps downloads.
"""


rule fetch_microdata:
    """Public CPS tax microdata, by digest."""
    input:
        unpack(reads("fetch_microdata")),
    output:
        **writes("fetch_microdata"),
    log:
        f"{RESULTS}/logs/fetch/microdata.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch/microdata.tsv"
    localrule: True
    resources:
        mem_mb=200,
        runtime=20,
    params:
        run=python("fetch_public_file.py"),
        cache=CONFIG.example.cache,
    message:
        "Public CPS tax microdata (24 MB wheel, or the cache)"
    shell:
        "{params.run:q} --sources {input.sources:q} --package taxcalc"
        " --cache {params.cache:q} --output {output:q} 2> {log:q}"


rule fetch_geography_tables:
    """Census block tables and ACS populations, by digest."""
    input:
        unpack(reads("fetch_geography_tables")),
    output:
        **writes("fetch_geography_tables"),
    log:
        f"{RESULTS}/logs/fetch/geography_tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch/geography_tables.tsv"
    localrule: True
    resources:
        mem_mb=200,
        runtime=20,
    params:
        run=python("fetch_public_file.py"),
        cache=CONFIG.example.cache,
    message:
        "Census block tables and ACS populations (48 MB wheel, or the cache)"
    shell:
        "{params.run:q} --sources {input.sources:q} --package policyengine-us-data"
        " --cache {params.cache:q} --output {output:q} 2> {log:q}"


rule fetch_county_cbsa:
    """County to CBSA table, by digest."""
    input:
        unpack(reads("fetch_county_cbsa")),
    output:
        **writes("fetch_county_cbsa"),
    log:
        f"{RESULTS}/logs/fetch/county_cbsa.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch/county_cbsa.tsv"
    localrule: True
    resources:
        mem_mb=200,
        runtime=20,
    params:
        run=python("fetch_public_file.py"),
        cache=CONFIG.example.cache,
    message:
        "County to CBSA table (0.2 MB wheel, or the cache)"
    shell:
        "{params.run:q} --sources {input.sources:q} --package geosnap"
        " --cache {params.cache:q} --output {output:q} 2> {log:q}"
