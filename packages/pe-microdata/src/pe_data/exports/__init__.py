"""Files for other programs: CSV, Parquet, Stata, DuckDB, with labels and codes intact."""
