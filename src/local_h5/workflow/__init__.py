"""The boundary between the build library and Snakemake: settings, content digests, orders, plan.

Nothing below :mod:`local_h5` but the scripts, the rules and the command line imports this package.
"""
