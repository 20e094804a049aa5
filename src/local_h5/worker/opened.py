"""The files of area jobs, opened once in a process: a process that stays builds many areas from the same files."""

from pathlib import Path

from msgspec import Struct

from local_h5.contracts.config import StructuralConfig
from local_h5.errors import ConfigError
from local_h5.files import forms
from local_h5.files.kept import kept
from local_h5.prepared.files import PreparedInputs, open_prepared
from local_h5.validation.structural.common_schema import CommonSchema, common_schema
from local_h5.validation.structural.population import population_table
from local_h5.validation.structural.verdict import StructuralPolicy

PACKAGES = 2
"""Calibration packages of a run, regional and national. Files of others are closed."""


class Opened(Struct, frozen=True):
    """Shared by all areas of a package; nothing in it is changed.

    Attributes:
        inputs: prepared files, memory-mapped.
        schema: columns that every file of the run has.
        structural: policy and reference populations.
    """

    inputs: PreparedInputs
    schema: CommonSchema
    structural: StructuralPolicy


def open_once(snapshot: Path, blocks: Path, clones: Path, takeup: Path, config: Path) -> Opened:
    """Open what an area of a package is built from, unless this process has it open.

    A file that was written anew in the meantime has another inode or time, and is opened again.

    Args:
        snapshot: source snapshot.
        blocks, clones, takeup: of the package.
        config: configuration (JSON) with ``validation``, ``inputs`` and ``areas.districts``.

    Raises:
        PreparedError: a prepared file is missing, damaged or of another version.
        ConfigError: the configuration or the population table is missing or malformed.
    """
    inputs, schema = _prepared(snapshot, blocks, clones, takeup)
    return Opened(inputs, schema, _structural(config, population_table(_configuration(config))))


@kept(PACKAGES)
def _prepared(snapshot: Path, blocks: Path, clones: Path, takeup: Path) -> tuple[PreparedInputs, CommonSchema]:
    inputs = open_prepared(snapshot, blocks, clones, takeup)
    return inputs, common_schema(inputs)


@kept(1)
def _configuration(config: Path) -> StructuralConfig:
    return forms.read(config, StructuralConfig, ConfigError, "a configuration", "Run the workflow again.")


@kept(1)
def _structural(config: Path, table: Path) -> StructuralPolicy:
    return StructuralPolicy.from_config(_configuration(config))
