"""A cluster, and a project of 40 areas with the bytes that a run on this machine alone gives."""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
sys.path.insert(0, str(Path(__file__).parent))

from mini_slurm import MiniSlurm, missing_programs, running_cluster
from small_project import BLOCKS, Project, make_project, prepare_snapshots, snapshot_folder

N_AREAS = 40


@pytest.fixture(scope="session")
def cluster() -> Iterator[MiniSlurm]:
    missing = missing_programs()
    if missing:
        reason = f"{', '.join(missing)} not installed: tests/slurm/install_slurm.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with running_cluster(nodes=3) as started:
        yield started


@pytest.fixture(scope="session")
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Forty areas of which nothing is made; do not change it."""
    snapshots = snapshot_folder(request.config.cache.mkdir("local-h5-snapshots"))
    project = make_project(tmp_path_factory.mktemp("fresh") / "project", snapshots)
    counties = sorted({block[:5] for block in BLOCKS})
    pairs = itertools.islice(itertools.combinations(counties, 2), N_AREAS - 14)
    path = project.path("config/config.yaml")
    config = yaml.safe_load(path.read_text())
    config["areas"]["custom"] += [
        {"id": f"pair-{one}-{other}", "filters": [{"field": "county", "op": "in", "value": [one, other]}]}
        for one, other in pairs
    ]
    path.write_text(yaml.safe_dump(config))
    prepare_snapshots(snapshots, {"base": project.path("inputs/source.h5")})
    return project


@pytest.fixture(scope="session")
def built(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after a run without a cluster; do not change it."""
    project = fresh.copy(tmp_path_factory.mktemp("built") / "project")
    assert len(project.run().built) == N_AREAS
    return project
