"""Equal inputs give equal bytes: built twice, in another order, in other processes, from other folders."""

import hashlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from plain_model import snapshot_without_model
from random_world import random_assignment, random_columns, random_weights, write_random_tables
from tiny_world import write_source

import local_h5
from local_h5 import facade
from local_h5.inputs.geography.load import load_geography

N_HOUSEHOLDS, N_CLONES = 40, 6
AREAS = {"AK": ["200"], "NC": ["3701", "3712"], "DC": ["1198"], "all": None}

PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
sys.path[:0] = sys.argv[3].split(":")
import numpy as np
import local_h5
from local_h5 import facade
from local_h5.inputs.geography.load import load_geography
from plain_model import snapshot_without_model

facade.prepare_snapshot = snapshot_without_model
folder, areas = Path(sys.argv[1]), sys.argv[2].split(";")
for area in areas:
    name, _, codes = area.partition("=")
    local_h5.build_h5(
        folder / "weights.npy", folder / "geography.npz", folder / "source.h5", folder / "out" / f"{name}.h5",
        cd_subset=codes.split(",") if codes else None, block_tables=folder / "tables",
    )
"""


def write_inputs(folder: Path) -> Path:
    folder.mkdir()
    write_source(folder / "source.h5", random_columns(1, N_HOUSEHOLDS))
    write_random_tables(folder / "tables")
    geography = random_assignment(2, N_HOUSEHOLDS, N_CLONES)
    np.savez(folder / "geography.npz", **vars(geography))
    np.save(folder / "weights.npy", random_weights(3, N_HOUSEHOLDS * N_CLONES))
    return folder


def run(folder: Path, areas: list[str], hash_seed: str) -> None:
    orders = ";".join(f"{name}={','.join(AREAS[name] or [])}" for name in areas)
    support = Path(__file__).parents[1] / "support"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), orders, str(support)],
        check=True,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(local_h5.__file__).parents[1])},
    )


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "out").iterdir())}


def test_bytes_do_not_depend_on_order_process_or_folder(tmp_path: Path) -> None:
    first, second = write_inputs(tmp_path / "first"), write_inputs(tmp_path / "a_second")
    run(first, ["AK", "NC", "DC", "all"], "1")
    run(second, ["all"], "2")
    run(second, ["DC", "NC", "AK"], "3")
    assert digests(first) == digests(second)
    assert len(digests(first)) == 8


@pytest.mark.parametrize("compression", ["none", "gzip", "lzf"])
def test_bytes_do_not_depend_on_what_was_built_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setattr(facade, "prepare_snapshot", snapshot_without_model)
    folder = write_inputs(tmp_path / "inputs")

    def build(build_h5: Callable[..., Path]) -> bytes:
        path = build_h5(
            np.load(folder / "weights.npy"),
            folder / "geography.npz",
            folder / "source.h5",
            folder / "area.h5",
            cd_subset=["3701"],
            block_tables=folder / "tables",
            compression=compression,
        )
        return path.read_bytes() + path.with_name("area.h5.result.json").read_bytes()

    builder = local_h5.H5Builder()
    assert build(builder.build_h5) == build(builder.build_h5) == build(local_h5.build_h5)


def test_all_forms_of_a_geography_give_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved with objects or plain, as a package, as blocks alone, or in memory; sidecars too."""
    monkeypatch.setattr(facade, "prepare_snapshot", snapshot_without_model)
    folder = write_inputs(tmp_path / "inputs")
    given = random_assignment(2, N_HOUSEHOLDS, N_CLONES)
    objects = {
        **vars(given),
        "block_geoid": given.block_geoid.astype(object),
        "cd_geoid": given.cd_geoid.astype(object),
    }
    np.savez(folder / "objects.npz", **objects)
    np.save(folder / "stacked_blocks.npy", given.block_geoid)
    package = {name: objects[name] for name in ("block_geoid", "cd_geoid")}
    (folder / "calibration_package.pkl").write_bytes(pickle.dumps({**package, "metadata": {}, "initial_weights": None}))
    numbers = {name: np.asarray(objects[name]).astype(int) for name in ("block_geoid", "cd_geoid", "county_fips")}
    forms = [
        given,
        SimpleNamespace(**{**objects, **numbers}),
        *(folder / name for name in ("geography.npz", "objects.npz", "calibration_package.pkl", "stacked_blocks.npy")),
        str(folder / "geography.npz"),
        load_geography(folder / "geography.npz", N_HOUSEHOLDS),
    ]
    made = set()
    for form in forms:
        path = local_h5.build_h5(
            np.load(folder / "weights.npy"),
            form,
            folder / "source.h5",
            folder / "area.h5",
            county_fips_filter={"37001", "02013"},
            block_tables=folder / "tables",
        )
        made.add((path.read_bytes(), path.with_name("area.h5.result.json").read_bytes()))
    assert len(made) == 1
