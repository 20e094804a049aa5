"""Ways to spoil the inputs of a :class:`tiny_world.World`, one at a time."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tiny_world import HOUSEHOLDS, N_CLONES, OWNER, World

from local_h5.errors import LocalH5Error

N = len(HOUSEHOLDS) * N_CLONES
Change = Callable[[World], None]


@dataclass(frozen=True)
class Case:
    """What is wrong, and what the error must say of it."""

    name: str
    change: Change
    error: type[LocalH5Error]
    where: str
    field: str | None
    found: str


def weights(value: Any) -> Change:
    def change(world: World) -> None:
        world.weights = value

    return change


def weights_with(row: int, value: float) -> Change:
    def change(world: World) -> None:
        world.weights[row] = value

    return change


def option(**values: Any) -> Change:
    return lambda world: world.options.update(values)


def nobody_weighs(district: str) -> Change:
    def change(world: World) -> None:
        world.options["cd_subset"] = [district]
        world.weights[world.geography.cd_geoid == district] = 0.0

    return change


def geography(**fields: Any) -> Change:
    def change(world: World) -> None:
        for name, value in fields.items():
            setattr(world.geography, name, value)

    return change


def code(field: str, row: int, value: Any) -> Change:
    """Another code in one row; the column becomes an object array, as production has them."""

    def change(world: World) -> None:
        column = np.array(getattr(world.geography, field), dtype=object)
        column[row] = value
        setattr(world.geography, field, column)

    return change


def place(row: int, block: str, district: str) -> Change:
    """Another block and district in one row, with the county and state that fit the block."""

    def change(world: World) -> None:
        for field, value in (
            ("block_geoid", block),
            ("cd_geoid", district),
            ("county_fips", block[:5]),
            ("state_fips", int(block[:2])),
        ):
            code(field, row, value)(world)

    return change


def saved(write: Callable[[World, Path], None], name: str = "geography.npz") -> Change:
    """A geography in a file that ``write`` makes."""

    def change(world: World) -> None:
        given = world.geography
        world.geography = world.folder / name

        def after(world: World) -> None:
            world.geography = given
            write(world, world.folder / name)
            world.geography = world.folder / name

        world.after = after

    return change


def npz(drop: tuple[str, ...] = (), **changes: Any) -> Callable[[World, Path], None]:
    def write(world: World, path: Path) -> None:
        fields = {name: np.asarray(value) for name, value in vars(world.geography).items() if name not in drop}
        np.savez(path, **{**fields, **changes})

    return write


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hostile_ran",)


def columns(change: Callable[[dict[str, dict[str, Any]]], None]) -> Change:
    return lambda world: change(world.columns)


def column(name: str, values: Any, period: str = "2024") -> Change:
    return columns(lambda all_columns: all_columns.__setitem__(name, {period: values}))


def without(*names: str) -> Change:
    return columns(lambda all_columns: [all_columns.pop(name) for name in names] and None)


def damaged(damage: Callable[[Path], None]) -> Change:
    def change(world: World) -> None:
        world.after = lambda world: damage(world.source)

    return change


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flat(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["person_id"] = np.arange(3)


def empty_h5(path: Path) -> None:
    h5py.File(path, "w").close()


def broken_link(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["lost"] = h5py.SoftLink("/nowhere")


def damaged_chunk(path: Path) -> None:
    """A compressed id column, with a byte changed in the middle of its data."""
    with h5py.File(path, "a") as file:
        values = file["person_id/2024"][()]
        del file["person_id/2024"]
        stored = file.create_dataset("person_id/2024", data=values, chunks=True, compression="gzip", fletcher32=True)
        place = stored.id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(place.byte_offset + place.size // 2)
        stream.write(b"\xff\x00\xff")


def owner(row: int, household: int) -> np.ndarray:
    changed = OWNER.copy()
    changed[row] = household
    return changed


def output(make: Callable[[World], Path]) -> Change:
    def change(world: World) -> None:
        before = world.after

        def after(world: World) -> None:
            if before is not None:
                before(world)
            world.options["output_path"] = make(world)

        world.after = after

    return change


def linked(link: Callable[[Path, Path], None]) -> Callable[[World], Path]:
    def make(world: World) -> Path:
        link(world.folder / "source.h5", world.folder / "other_name.h5")
        return world.folder / "other_name.h5"

    return make


def below_a_file(world: World) -> Path:
    (world.folder / "file").write_text("not a folder")
    return world.folder / "file" / "area.h5"


def saved_weights(world: World) -> Path:
    np.save(world.folder / "weights.npy", world.weights)
    world.weights = world.folder / "weights.npy"
    return world.folder / "weights.npy"


def sidecar_is_input(world: World) -> Path:
    moved = world.folder / "area.h5.result.json"
    world.source.rename(moved)
    world.options["dataset_path"] = moved
    return world.folder / "area.h5"
