"""Calibrated US microdata: one H5 and one result sidecar per area. See docs/architecture.md."""

from pathlib import Path

from snakemake.utils import min_version

from local_h5.config.paths import shipped
from local_h5.errors import LocalH5Error
from local_h5.requests import FOLDERS
from local_h5.config.settings import Settings
from local_h5.workflow.closing import end_now, print_at_end
from local_h5.workflow.engine import Engine, keep_all_objects
from local_h5.workflow.run import Run
from local_h5.workflow.run_log import RunLog

min_version("9.27")


report: "rules/report/workflow.rst"


configfile: shipped(Path("config/config.yaml")).as_posix()


ENGINE = Engine(workflow)
if ENGINE.is_main:
    keep_all_objects()
else:
    # The areas of a group run one after another; the group's memory is for one area (profiles/slurm).
    workflow.register_resource("area_slots", 1)

try:
    SETTINGS = Settings.load(
        config, ", ".join(map(str, workflow.configfiles)), ENGINE.overrides
    )
    RUN = Run(SETTINGS, ENGINE, checkpoints)  # compares by content
    if RUN.announcement:
        print(RUN.announcement, flush=True)
except (LocalH5Error, OSError) as error:
    end_now(error)

RUN_LOG = RunLog()
CONFIG = SETTINGS.config  # checked, with paths in plain form; rules use this one
RESULTS = SETTINGS.results.as_posix()
PREPARED = SETTINGS.layout.prepared.as_posix()
RESOLVED = SETTINGS.layout.config.as_posix()
SCRIPTS = shipped(Path("scripts")).as_posix()


if CONFIG.container:

    container: CONFIG.container


wildcard_constraints:
    folder="|".join(FOLDERS.values()),
    area="[A-Za-z0-9_-]+",
    package="regional|national",


localrules:
    all,
    all_states,
    all_districts,
    all_cities,
    all_custom,
    national,


rule all:
    """Build and approve every area that is missing or out of date."""
    input:
        lambda wildcards: RUN.wanted(),


rule all_states:
    """The same, states and DC only."""
    input:
        lambda wildcards: RUN.wanted("state"),


rule all_districts:
    """The same, congressional districts only."""
    input:
        lambda wildcards: RUN.wanted("district"),


rule all_cities:
    """The same, cities only."""
    input:
        lambda wildcards: RUN.wanted("city"),


rule all_custom:
    """The same, your own areas only (areas.custom)."""
    input:
        lambda wildcards: RUN.wanted("custom"),


rule national:
    """The same, the nation only."""
    input:
        lambda wildcards: RUN.wanted("national"),


include: "rules/common.smk"
include: "rules/fetch.smk"
include: "rules/example.smk"
include: "rules/prepare.smk"
include: "rules/build.smk"
include: "rules/validate.smk"
include: "rules/nation.smk"
include: "rules/publish.smk"


onstart:
    try:
        RUN.begin()
    except (LocalH5Error, OSError) as error:
        end_now(error)
    ENGINE.stop_timers()
    RUN_LOG.listen(workflow)


onsuccess:
    RUN_LOG.stop()
    RUN.end()
    print_at_end(SETTINGS, RUN_LOG, succeeded=True)


onerror:
    RUN_LOG.stop()
    RUN.end()
    print_at_end(SETTINGS, RUN_LOG, succeeded=False)
