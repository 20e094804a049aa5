#!/bin/sh
# The Slurm that tests/slurm starts for itself: Debian's packages, as root. Nothing of it runs as a service.
set -eu
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurm-wlm munge
slurmctld -V
munged --version
