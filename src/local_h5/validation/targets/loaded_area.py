"""An area file in memory: take households out of it, put files together, find equal households.

Most values that the model calculates depend only on a household's own rows, its ids among them (the model hashes some).
:mod:`local_h5.validation.targets.model_facts` lists the others. So two files may share values where their households
are equal in every column but the weight. The columns are compared; nothing is assumed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from local_h5.contracts.results import AreaResult
from local_h5.files.hdf5 import create_h5
from local_h5.inputs.area_columns import area_columns_of
from local_h5.inputs.membership import HOUSEHOLD, PERSON, rows_with

_WEIGHT = "household_weight"


@dataclass(frozen=True, slots=True)
class AreaFile:
    """Columns and links of a file.

    Attributes:
        year: of the file.
        columns: (variable, period) → (entity, values), without ids, links and the weight.
        ids: entity → int32 (rows,), each once.
        unit_of: entity → int64 (n_persons,), the row of each person's unit; without persons themselves.
        weight: float64 (n_households,).
    """

    year: int
    columns: Mapping[tuple[str, str], tuple[str, np.ndarray]]
    ids: Mapping[str, np.ndarray]
    unit_of: Mapping[str, np.ndarray]
    weight: np.ndarray

    @classmethod
    def read(cls, path: Path, result: AreaResult) -> Self:
        """Read a file; its sidecar says which entity a variable belongs to.

        Raises:
            OSError, KeyError, InputError: the file cannot be read, or lacks what the sidecar lists.
            ValueError: an id twice, or a person in a unit that the file does not have.
        """
        year = str(result.period)
        entities = tuple(result.rows)
        links = {f"person_{entity}_id": entity for entity in entities if entity != PERSON}
        structural = {*links, *(f"{entity}_id" for entity in entities), _WEIGHT}
        with h5py.File(path, "r") as file:
            read = area_columns_of(path, file).read
            columns = {
                (column.variable, period): (column.entity, read(column.variable, period))
                for column in result.columns
                if column.variable not in structural
                for period in column.periods
            }
            ids = {entity: read(f"{entity}_id", year) for entity in entities}
            for entity, values in ids.items():
                if len(np.unique(values)) != len(values):
                    raise ValueError(f"{entity}_id has an id twice")
            unit_of = {entity: rows_with(ids[entity], read(name, year)) for name, entity in links.items()}
            for name, entity in links.items():
                if np.any(unit_of[entity] < 0):
                    raise ValueError(f"{name} has an id that {entity}_id lacks")
            return cls(result.period, columns, ids, unit_of, read(_WEIGHT, year).astype(np.float64))

    def values(self, variable: str) -> np.ndarray:
        """Values of a variable in the file's year."""
        return self.columns[variable, str(self.year)][1]

    @property
    def entities(self) -> tuple[str, ...]:
        """Entities, households and persons among them."""
        return tuple(self.ids)

    @property
    def n_rows(self) -> dict[str, int]:
        """Entity → rows."""
        return {entity: len(ids) for entity, ids in self.ids.items()}

    def household_of(self, entity: str) -> np.ndarray:
        """Row of each unit's household; int64 (n_rows[entity],)."""
        if entity == HOUSEHOLD:
            return np.arange(self.n_rows[HOUSEHOLD])
        if entity == PERSON:
            return self.unit_of[HOUSEHOLD]
        household = np.zeros(self.n_rows[entity], dtype=np.int64)
        household[self.unit_of[entity]] = self.unit_of[HOUSEHOLD]
        return household

    def take(self, households: np.ndarray) -> Self:
        """The file of some households (bool mask); order and ids are kept."""
        rows = {entity: np.flatnonzero(households[self.household_of(entity)]) for entity in self.entities}
        renumber = {}
        for entity, kept in rows.items():
            renumber[entity] = np.full(self.n_rows[entity], -1)
            renumber[entity][kept] = np.arange(len(kept))
        return type(self)(
            self.year,
            {key: (entity, values[rows[entity]]) for key, (entity, values) in self.columns.items()},
            {entity: self.ids[entity][kept] for entity, kept in rows.items()},
            {entity: renumber[entity][link[rows[PERSON]]] for entity, link in self.unit_of.items()},
            self.weight[households],
        )

    @classmethod
    def concatenate(cls, files: Sequence[Self]) -> Self:
        """Files of one run, one after the other. No household may be in two of them: its ids would be there twice."""
        first = files[0]
        offsets = {entity: np.cumsum([0, *(file.n_rows[entity] for file in files[:-1])]) for entity in first.entities}
        return cls(
            first.year,
            {
                key: (entity, np.concatenate([file.columns[key][1] for file in files]))
                for key, (entity, _) in first.columns.items()
            },
            {entity: np.concatenate([file.ids[entity] for file in files]) for entity in first.entities},
            {
                entity: np.concatenate(
                    [file.unit_of[entity] + start for file, start in zip(files, offsets[entity], strict=True)]
                )
                for entity in first.unit_of
            },
            np.concatenate([file.weight for file in files]),
        )

    def write(self, path: Path) -> None:
        """Write what the model needs to load it."""
        year = str(self.year)
        with create_h5(path) as file:
            for (variable, period), (_, values) in self.columns.items():
                file[f"{variable}/{period}"] = values
            for entity, ids in self.ids.items():
                file[f"{entity}_id/{year}"] = ids
            for entity, link in self.unit_of.items():
                file[f"person_{entity}_id/{year}"] = self.ids[entity][link]
            file[f"{_WEIGHT}/{year}"] = self.weight.astype(np.float32)

    def digest(self, *, weights: bool = False) -> str:
        """sha256 over everything that a household's own values can depend on; with ``weights`` those of a file."""
        sha = hashlib.sha256(f"{self.year} {sorted(self.n_rows.items())}".encode())
        for key, (entity, values) in sorted(self.columns.items()):
            sha.update(f"{key} {entity} {values.dtype.str}".encode())
            sha.update(np.ascontiguousarray(values).tobytes())
        for arrays in (self.ids, self.unit_of):
            for entity, values in sorted(arrays.items()):
                sha.update(f"{entity} {values.dtype.str}".encode())
                sha.update(np.ascontiguousarray(values).tobytes())
        if weights:
            sha.update(b"weights" + self.weight.tobytes())
        return sha.hexdigest()


def equal_households(left: AreaFile, right: AreaFile) -> np.ndarray:
    """Households of two files, row by row, that are equal in every column and id, and in how persons are grouped.

    Returns:
        bool (n_households,); all false when the files have different rows or columns.
    """
    if left.columns.keys() != right.columns.keys() or left.n_rows != right.n_rows:
        return np.zeros(left.n_rows[HOUSEHOLD], dtype=bool)
    equal = np.ones(left.n_rows[HOUSEHOLD], dtype=bool)
    for entity, link in left.unit_of.items():
        equal[left.unit_of[HOUSEHOLD][link != right.unit_of[entity]]] = False
    owner = {entity: left.household_of(entity) for entity in left.entities}
    for entity, ids in left.ids.items():
        equal[owner[entity][ids != right.ids[entity]]] = False
    for key, (entity, values) in left.columns.items():
        other = right.columns[key][1]
        same = values == other
        if values.dtype.kind == "f":
            same |= np.isnan(values) & np.isnan(other)
        equal[owner[entity][~same]] = False
    return equal
