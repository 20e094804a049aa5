"""The snapshots that all tests of the workflow begin with, made where the model is loaded in any case."""

from pathlib import Path

import pytest
from small_project import N_HOUSEHOLDS, write_inputs

from local_h5.files.arrays import open_arrays
from local_h5.files.atomic import sha256_of
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.validation.targets.country_model import CountryModel, model_versions

pytestmark = [pytest.mark.model, pytest.mark.workflow]


def test_what_is_kept_is_of_the_source_and_of_the_installed_model(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    CountryModel()  # loads it before the fixture, which then needs no process that does
    folder: Path = request.getfixturevalue("snapshots")
    write_inputs(tmp_path / "inputs")
    digest = sha256_of(tmp_path / "inputs/source.h5")
    kept = open_arrays(folder / digest, SourceSnapshot)
    assert (kept.source_sha256, kept.n_rows["household"]) == (digest, N_HOUSEHOLDS)
    assert model_versions().items() <= kept.versions.items()
