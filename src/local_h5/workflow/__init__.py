"""Between the library and Snakemake: how a run was started, which jobs are forced, and what people see of it.

Only the scripts, the rules and the command line import this package.
"""
