"""Between the library and Snakemake: how a run was started, what Snakemake is told, what it says to people.

Nothing below :mod:`local_h5` but the scripts, the rules and the command line imports this package.
"""
