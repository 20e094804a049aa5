"""What area jobs read, opened once in a process: a process that stays builds many areas from the same files."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from local_h5.contracts.config import StructuralConfig
from local_h5.errors import ConfigError
from local_h5.files import forms
from local_h5.prepared.files import PreparedInputs, open_prepared
from local_h5.validation.structural.common_schema import CommonSchema, common_schema
from local_h5.validation.structural.population import population_table
from local_h5.validation.structural.verdict import StructuralPolicy

Identity = tuple[str, ...] | tuple[str, int, int, int, int, int]

PACKAGES = 2
"""Calibration packages of a run, regional and national: what belongs to others is let go."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Shared by all areas of a package; nothing in it is changed.

    Attributes:
        inputs: prepared files, memory-mapped.
        schema: what every file of the run has.
        structural: what files have to satisfy.
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
    inputs, schema = _prepared(tuple(map(_identity, (snapshot, blocks, clones, takeup))))
    chosen = _identity(config)
    table = _identity(population_table(_configuration(chosen)))
    return Opened(inputs, schema, _structural(chosen, table))


@lru_cache(maxsize=PACKAGES)
def _prepared(files: tuple[Identity, ...]) -> tuple[PreparedInputs, CommonSchema]:
    inputs = open_prepared(*(Path(str(file[0])) for file in files))
    return inputs, common_schema(inputs)


@lru_cache(maxsize=1)
def _configuration(file: Identity) -> StructuralConfig:
    return forms.read(Path(str(file[0])), StructuralConfig, ConfigError, "a configuration", "Run the workflow again.")


@lru_cache(maxsize=1)
def _structural(file: Identity, table: Identity) -> StructuralPolicy:
    return StructuralPolicy.from_config(_configuration(file))


def _identity(path: Path) -> Identity:
    try:
        stat = path.stat()
    except OSError:  # opening it says what is wrong
        return (str(path),)
    return str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
