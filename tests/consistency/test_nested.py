"""Larger areas are the unions of their parts, in every variable, ids and links among them.

Rows of two files are matched by their ids alone, as a reader of published files would.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from local_h5 import us
from local_h5.build.area import build_area
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.steps import takeup_from_snapshot
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.takeup.programmes import load_programmes

pytestmark = pytest.mark.model

UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")
ENTITIES = ("household", "person", *UNITS)


@dataclass(frozen=True)
class Table:
    """A file's rows in the order of their ids."""

    values: dict[tuple[str, str], np.ndarray]
    """(variable, period) → values, by id of the entity."""
    entity: dict[str, str]

    @classmethod
    def of(cls, path: Path, entity: dict[str, str]) -> "Table":
        with h5py.File(path) as file:
            values = {(name, period): file[name][period][()] for name in file for period in file[name]}
        return cls(values, entity).in_order()

    def ids(self, kind: str) -> np.ndarray:
        return self.values[f"{kind}_id", "2024"]

    def in_order(self) -> "Table":
        order = {kind: np.argsort(self.ids(kind)) for kind in ENTITIES}
        for kind in ENTITIES:
            assert len(np.unique(self.ids(kind))) == len(self.ids(kind))
        return Table({key: values[order[self.entity[key[0]]]] for key, values in self.values.items()}, self.entity)

    def only(self, households: np.ndarray) -> "Table":
        """The rows of some household clones."""
        keep = {"household": np.isin(self.ids("household"), households)}
        keep["person"] = np.isin(self.values["person_household_id", "2024"], households)
        for kind in UNITS:
            keep[kind] = np.isin(self.ids(kind), self.values[f"person_{kind}_id", "2024"][keep["person"]])
        return Table({key: values[keep[self.entity[key[0]]]] for key, values in self.values.items()}, self.entity)


def union(tables: Iterable[Table]) -> Table:
    parts = list(tables)
    assert len({tuple(sorted(part.values)) for part in parts}) == 1
    values = {key: np.concatenate([part.values[key] for part in parts]) for key in parts[0].values}
    return Table(values, parts[0].entity).in_order()


def different(a: Table, b: Table) -> set[str]:
    """Variables in which two tables differ, in value or dtype."""
    assert a.values.keys() == b.values.keys()
    assert len({name for name, _ in a.values}) > 150
    return {
        name
        for name, period in a.values
        if a.values[name, period].dtype != b.values[name, period].dtype
        or not np.array_equal(
            a.values[name, period],
            b.values[name, period],
            equal_nan=a.values[name, period].dtype.kind == "f",
        )
    }


def read(inputs: PreparedInputs, request: AreaBuildRequest, folder: Path) -> Table:
    """Build an area and read its file."""
    result = build_area(request, inputs, folder)
    return Table.of(folder / result.output.path, {column.variable: column.entity for column in result.columns})


def state(postal: str) -> AreaBuildRequest:
    code = f"{us.STATE_FIPS[postal]:02d}"
    return AreaBuildRequest("state", postal, postal, (AreaFilter("state", "eq", (code,)),))


def district(code: int) -> AreaBuildRequest:
    return AreaBuildRequest(
        "district", us.district_name(code), str(code), (AreaFilter("district", "eq", (f"{code:04d}",)),)
    )


NATION = AreaBuildRequest("national", us.NATIONAL_ID, "Nation")
NYC = AreaBuildRequest("city", "NYC", "New York", (AreaFilter("county", "in", us.CITY_COUNTIES["NYC"]),))


@pytest.fixture(scope="module")
def table(golden_inputs: PreparedInputs, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Table]:
    folder = tmp_path_factory.mktemp("nested")

    return cache(lambda request: read(golden_inputs, request, folder))


def active_districts(inputs: PreparedInputs, postal: str) -> list[int]:
    index = inputs.clones
    with_clones = index.districts[np.diff(index.indptr) > 0]
    return [int(code) for code in with_clones if code // 100 == us.STATE_FIPS[postal]]


def test_the_nation_is_the_union_of_the_states(table: Callable[..., Table]) -> None:
    nation = table(NATION)
    assert different(union(table(state(postal)) for postal in us.STATE_FIPS), nation) == set()
    assert len(nation.ids("household")) == 9948


@pytest.mark.parametrize(
    "postal",
    [
        postal if postal in ("AK", "DC", "NC", "WI") else pytest.param(postal, marks=pytest.mark.slow)
        for postal in us.STATE_FIPS
    ],
)
def test_a_state_is_the_union_of_its_districts(
    table: Callable[..., Table], golden_inputs: PreparedInputs, postal: str
) -> None:
    codes = active_districts(golden_inputs, postal)
    assert codes
    assert different(union(table(district(code)) for code in codes), table(state(postal))) == set()


def test_new_york_city_is_a_part_of_its_state(table: Callable[..., Table]) -> None:
    city, whole = table(NYC), table(state("NY"))
    households = city.ids("household")
    assert 0 < len(households) < len(whole.ids("household"))
    assert different(whole.only(households), city) == set()
    outside = whole.only(np.setdiff1d(whole.ids("household"), households))
    assert not np.isin(outside.values["county_fips", "2024"].astype(str), us.CITY_COUNTIES["NYC"]).any()


def test_grouped_by_file_a_state_is_not_the_union(golden, golden_snapshot, golden_inputs, tmp_path: Path) -> None:
    """The comparison notices: adjusted by file, take-up differs between the districts' files and their state's."""
    by_file = takeup_from_snapshot(golden_snapshot, golden.geography, load_programmes(), scope="area")
    inputs = golden.inputs_without_takeup(golden_snapshot, by_file)
    parts = [read(inputs, district(code), tmp_path) for code in active_districts(inputs, "NC")]
    changed = different(union(parts), read(inputs, state("NC"), tmp_path))
    with_reports = {programme.variable for programme in load_programmes() if programme.reports is not None}
    assert changed
    assert changed <= with_reports
