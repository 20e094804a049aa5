"""Inputs with some of their bytes changed, or cut off: read, or refused in one line of our own; never a traceback.

What the libraries below say of damaged files is not written down anywhere; this asks them.
"""

import gzip
import pickle
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny_world as tiny
from plain_model import kind

from local_h5.errors import LocalH5Error
from local_h5.inputs.geography.blocks import build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.load import load_geography
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.inputs.source import STRUCTURAL, read_source
from local_h5.inputs.weights import load_weights
from local_h5.validation.targets.database import TargetDatabase

N = tiny.N_CLONES * tiny.N_HOUSEHOLDS
TRIES = 60
DATABASE = """
CREATE TABLE targets (target_id INTEGER, stratum_id INTEGER, variable TEXT, period INTEGER, reform_id INTEGER,
                      value REAL, active INTEGER, geo_level TEXT, geographic_id TEXT);
CREATE TABLE stratum_constraints (stratum_id INTEGER, constraint_variable TEXT, operation TEXT, value TEXT);
CREATE VIEW target_overview AS SELECT * FROM targets;
INSERT INTO targets VALUES (1, 1, 'snap', 2024, 0, 10.0, 1, 'national', 'US'), (2, 2, 'snap', 2024, 0, 11.0, 1,
                            'state', '6'), (3, 3, 'person_count', 2022, 0, 11.0, 1, 'district', '601');
INSERT INTO stratum_constraints VALUES (2, 'state_fips', '==', '6'), (3, 'age', '>', '18');
"""


def write_source(path: Path, **options: Any) -> None:
    with h5py.File(path, "w", **options) as file:
        for name, periods in tiny.source_columns().items():
            for period, values in periods.items():
                file.create_dataset(f"{name}/{period}", data=values, chunks=True, compression="gzip")


def read_all(path: Path) -> None:
    source = read_source(path)
    known = tiny.source_columns().keys() - STRUCTURAL - {"household_weight", "state_fips"}
    source.read(*(kind(name) for name in source.periods if name in known))


def write_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(DATABASE)
    connection.close()


def geography() -> dict[str, Any]:
    fields = vars(tiny.assignment())
    return fields | {"block_geoid": fields["block_geoid"].astype(object)}


def table(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        tables = tiny.write_tables(path.parent / "tables")
        shutil.copyfile(path, tables / name)
        files = BlockTableFiles(
            *(tables / n for n in ("block_cd_distributions.csv.gz", "block_crosswalk.csv.gz", "msa_definitions.csv"))
        )
        return build_block_table(Geography.from_arrays(**vars(tiny.assignment())), files)

    return read


INPUTS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    # name: how it is written, how it is read
    "source.h5": (write_source, read_all),
    "latest.h5": (lambda path: write_source(path, libver="latest"), read_all),
    "weights.npy": (
        lambda path: np.save(path, np.linspace(0.5, 9, N)),
        lambda path: load_weights(path, tiny.N_HOUSEHOLDS, tiny.N_CLONES),
    ),
    "geography.npz": (lambda path: np.savez(path, **geography()), lambda path: load_geography(path, tiny.N_HOUSEHOLDS)),
    "packed.npz": (
        lambda path: np.savez_compressed(path, **vars(tiny.assignment())),
        lambda path: load_geography(path, tiny.N_HOUSEHOLDS),
    ),
    "package.pkl": (
        lambda path: path.write_bytes(pickle.dumps({**geography(), "initial_weights": np.ones(N)})),
        lambda path: load_geography(path, tiny.N_HOUSEHOLDS),
    ),
    "targets.db": (write_database, lambda path: TargetDatabase.read(path, 2024)),
    "msa_definitions.csv": (
        lambda path: shutil.copyfile(tiny.write_tables(path.parent / "whole") / path.name, path),
        table("msa_definitions.csv"),
    ),
    "block_crosswalk.csv.gz": (
        lambda path: shutil.copyfile(tiny.write_tables(path.parent / "whole") / path.name, path),
        table("block_crosswalk.csv.gz"),
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_damage_is_one_line(tmp_path: Path, name: str) -> None:
    write, read = INPUTS[name]
    path = tmp_path / name
    write(path)
    read(path)
    whole = path.read_bytes()
    content = gzip.decompress(whole) if path.suffix == ".gz" else None
    refused = []
    for seed in range(TRIES):
        rng = random.Random(seed)
        inside = content is not None and rng.random() < 0.6
        data = bytearray(content if inside and content is not None else whole)
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        path.write_bytes(gzip.compress(bytes(data)) if inside else data)
        try:
            read(path)
        except LocalH5Error as error:
            refused.append(str(error))
        except Exception as error:
            pytest.fail(f"{name}, seed {seed}: {type(error).__name__}: {error}")
    assert refused
    assert not any("\n" in line for line in refused)


def test_a_name_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "source.h5"
    write_source(path)
    with h5py.File(path, "a") as file:
        h5py.h5g.create(file.id, b"caf\xe9")
    with pytest.raises(LocalH5Error, match=r"names of variables and periods in UTF-8, found b'caf\\xe9'"):
        read_source(path)


def test_a_header_that_is_no_literal_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.npy"
    np.save(path, np.ones(N))
    path.write_bytes(path.read_bytes().replace(b"}", b"(", 1))
    with pytest.raises(LocalH5Error, match="complete numpy array"):
        load_weights(path)


@pytest.mark.parametrize("value", ["'soon'", "NULL", "2024.5"])
def test_a_target_without_a_period_is_one_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "targets.db"
    write_database(path)
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE targets SET period = {value} WHERE target_id = 2")
    connection.commit()
    connection.close()
    with pytest.raises(LocalH5Error, match="no whole number"):
        TargetDatabase.read(path, 2024)


def test_a_table_in_another_encoding_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "msa_definitions.csv"
    path.write_bytes("stcofips,CBSA Code,Título\n37001,15500,x\n".encode("latin-1"))
    with pytest.raises(LocalH5Error, match="complete CSV table"):
        table(path.name)(path)
