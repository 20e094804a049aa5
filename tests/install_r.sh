#!/bin/sh
# The R that tests/pe_data/test_exports_in_r.py runs: Debian's, with haven for Stata files, as root.
set -eu
apt-get update -qq
apt-get install -y -qq --no-install-recommends r-base-core r-cran-haven
Rscript --version
