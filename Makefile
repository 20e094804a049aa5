# Two commands: `make all` builds every area file from nothing, `make test` runs the tests. See README.md.
# CONFIG=my.yaml goes on top of config/config.yaml, for all, plan, resume, verify and report. LOCK=requirements-bundle.lock
# takes the packages of that file, in an environment of their own (docs/dependencies.md). TESTS='-m slow' are options of
# pytest, for test.

PYTHON ?= python3
JOBS   ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
LOCK   ?= requirements.lock
VENV   := .venv$(patsubst requirements%,%,$(basename $(notdir $(LOCK))))
BIN    := $(VENV)/bin

# Jobs run `python scripts/…`: the environment's own, with one thread each, since there is one job per core.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help all example-area-coded plan resume verify report test test-engines test-neighbours lint docs schemas lock clean

help:  ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

all: $(VENV)/installed  ## everything, from nothing: environment, inputs, all area files
	@$(RUN) all

example-area-coded: $(VENV)/installed  ## the same from one area-coded file, which is made from the example first
	@$(RUN) results/national/US.h5
	@python scripts/example_area_coded.py --nation results/national/US.h5 --output results/example/area_coded.h5
	@$(MAKE) --no-print-directory all CONFIG=config/area_coded.example.yaml

plan: $(VENV)/installed  ## what would be built and why; writes nothing
	@local-h5 plan $(WITH_CONFIG)

resume: $(VENV)/installed  ## continue after an interrupt or a crash
	@said=$$(snakemake $(WITH_CONFIG) --unlock --quiet all 2>&1 >/dev/null) || { echo "$$said" >&2; exit 1; }
	@$(RUN) all

verify: $(VENV)/installed  ## check every file against its sidecar
	@local-h5 verify $(WITH_CONFIG)

report: $(VENV)/installed  ## one HTML page about the run, finished or not
	@local-h5 report $(WITH_CONFIG)

test: $(VENV)/tested  ## the default test suite
	@python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

test-engines: $(VENV)/engines  ## the profiles for clusters, and a real Slurm (tests/slurm/install_slurm.sh)
	@python -m pytest -m engines

test-neighbours: .venv-neighbours/installed  ## beside the real policyengine, after `make all` (docs/neighbours.md)
	@.venv-neighbours/bin/python -m pytest -m neighbours tests/pe_data/test_neighbours.py

lint: $(VENV)/tested  ## style, types, rules
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules adapters/engines
	snakemake --lint --config container=docker://local-h5
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

docs: $(VENV)/documented  ## the documentation as a site, in build/site; every link is checked
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict
	@echo "build/site/index.html; with its search: python -m http.server --directory build/site"

schemas: $(VENV)/tested  ## make the JSON schemas anew, from the structures that they describe
	@python schemas/generate.py

lock:  ## resolve the dependencies anew (needs uv); see docs/dependencies.md
	uv pip compile $(RESOLVE) $(TESTED) --group dev -o requirements-dev.lock
	uv pip compile $(RESOLVE) -c requirements-dev.lock -o requirements.lock
	uv pip compile $(DOCS) $(HOW) -c requirements-dev.lock -o requirements-docs.lock
	uv pip compile $(RESOLVE) $(TESTED) $(ENGINES) --group dev -c requirements-dev.lock -o requirements-engines.lock
	cp requirements.lock requirements-bundle.lock  # uv keeps the versions of what it overwrites, where they fit
	uv pip compile $(RESOLVE) --extra bundle -o requirements-bundle.lock
	cp requirements-dev.lock requirements-neighbours.lock  # uv keeps the versions of what it overwrites, where they fit
	uv pip compile $(NEIGHBOURS) $(HOW) -o requirements-neighbours.lock

clean:  ## delete results and environments, after a question; downloads stay in .cache
	@echo "This deletes:"; du -sh results .snakemake .venv .venv-* 2>/dev/null | sed 's/^/  /'
	@if [ -t 0 ]; then printf 'Go on? [y/N] '; read -r answer; [ "$$answer" = y ] || { echo "Nothing was deleted."; exit 1; }; fi
	@rm -rf results .snakemake .venv .venv-*

RESOLVE = pyproject.toml packages/pe-microdata/pyproject.toml --extra workflow --extra frames --extra hf --group build \
	$(HOW)
HOW = --no-emit-package pe-microdata --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
TESTED = packages/pe-microdata-gateway/pyproject.toml --extra modal --extra trust
NEIGHBOURS = pyproject.toml packages/pe-microdata/pyproject.toml --extra h5 --extra trust --group build --group neighbours
DOCS = pyproject.toml packages/pe-microdata/pyproject.toml --group docs
ENGINES = --extra googlebatch --extra kubernetes --extra slurm

# All three in one call, so that none of them is looked for anywhere else.
EDITABLE = -e . -e packages/pe-microdata -e packages/pe-microdata-gateway

WITH_CONFIG = $(if $(CONFIG),--configfile "$(CONFIG)")

# A display of progress on a terminal; in a log a line for each 5 % and for each failure (local_h5.workflow.run_log).
# Options that take several values come last before `--`, which ends them.
RUN = run() { if [ -t 1 ] && [ -t 2 ] && [ "$$TERM" != dumb ]; \
	then snakemake --cores $(JOBS) $(WITH_CONFIG) --logger rich -- "$$@"; \
	else snakemake --cores $(JOBS) $(WITH_CONFIG) --quiet host reason rules -- "$$@"; fi; }; run

$(VENV)/installed: $(LOCK) pyproject.toml $(wildcard packages/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' \
		|| { echo "error: $(PYTHON) is not Python 3.11 to 3.14; run make PYTHON=/path/to/python all" >&2; exit 1; }
	@echo "Installing into $(VENV): one to three minutes, about 1.3 GB"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip uninstall -qq --yes local-h5  # one from before the split would take pe-data with it
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

$(VENV)/tested: $(VENV)/installed requirements-dev.lock
	@[ $(LOCK) = requirements.lock ] || { echo "error: the tests need requirements.lock, found LOCK=$(LOCK)" >&2; exit 1; }
	@echo "Installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/documented: $(VENV)/installed requirements-docs.lock
	@echo "Installing what the documentation needs"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

# Apart from the others, because Snakemake loads every plugin that is installed, at each start.
$(VENV)/engines: $(VENV)/tested requirements-engines.lock
	@echo "Installing the plugins for clusters"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-engines.lock
	@touch $@

# Apart, because policyengine pins another policyengine-us. Without the gateway, and without Snakemake.
.venv-neighbours/installed: requirements-neighbours.lock pyproject.toml $(wildcard packages/*/pyproject.toml)
	@echo "Installing policyengine beside the store's package into .venv-neighbours"
	@$(PYTHON) -m venv .venv-neighbours
	@.venv-neighbours/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@.venv-neighbours/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		-e . -e packages/pe-microdata
	@touch $@
