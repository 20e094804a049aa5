"""The configuration as a type; ``config/config.yaml`` says what each key means.

Its form is checked by ``schemas/config.schema.json`` before, with messages for people.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec


class NationalInputs(msgspec.Struct, frozen=True):
    """A nation with weights and geography of its own."""

    weights: str | None
    geography: str | None


class Tables(msgspec.Struct, frozen=True):
    """Public block tables; null where the fetched ones are meant."""

    block_districts: str | None
    block_crosswalk: str | None
    county_cbsa: str | None


class Inputs(msgspec.Struct, frozen=True):
    """What a run is made from; null where the example's own is meant."""

    weights: str | None
    geography: str | None
    dataset: str | None
    dataset_sha256: str | None
    targets: str | None
    national: NationalInputs
    tables: Tables
    missing: dict[str, dict[str, bool | int | float | str]] = msgspec.field(default_factory=dict)

    @property
    def own(self) -> dict[str, str | None]:
        """Weights, geography and dataset, which belong together."""
        return {"weights": self.weights, "geography": self.geography, "dataset": self.dataset}

    @property
    def example(self) -> bool:
        """Whether any of them is the example's."""
        return None in self.own.values()


class Areas(msgspec.Struct, frozen=True):
    """Which areas a run has."""

    districts: str
    cities: list[str]
    custom: list[dict[str, Any]]


class Geography(msgspec.Struct, frozen=True):
    """How blocks outside the tables are treated."""

    unknown_blocks: Literal["error", "allow"]


class Takeup(msgspec.Struct, frozen=True):
    """How take-up is drawn."""

    programmes: str
    reported: Literal["anchor", "ignore"]
    scope: Literal["clone", "area"]
    filter: list[str] | None


class Output(msgspec.Struct, frozen=True):
    """How files are written."""

    compression: Literal["none", "gzip", "lzf"]
    medicaid_cost: Literal["state_average", "model"]


class Store(msgspec.Struct, frozen=True):
    """Where a run is published, and under which licence."""

    url: str | None
    licence: str | None = None


class Example(msgspec.Struct, frozen=True):
    """Size and seed of the example."""

    households: int
    clones: int
    seed: int
    certainty_amount: float
    minimum_per_state: int
    zero_share: float
    cache: str


class DistrictTable(msgspec.Struct, frozen=True):
    """The table of congressional districts."""

    districts: str


class StructuralConfig(msgspec.Struct, frozen=True):
    """What area jobs read of the configuration: the whole has megabytes with very many areas.

    The whole may stand for it.
    """

    inputs: Inputs
    areas: DistrictTable
    validation: dict[str, Any]


class Config(msgspec.Struct, frozen=True):
    """A configuration with all its keys, and every path in its plain form."""

    results: str
    notes: dict[str, str]
    inputs: Inputs
    areas: Areas
    variables: str
    geography: Geography
    takeup: Takeup
    output: Output
    validation: dict[str, Any]
    store: Store
    example: Example
    container: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """A mapping that satisfies the schema, as a configuration."""
        return msgspec.convert(data, cls)

    @property
    def structural(self) -> StructuralConfig:
        """What decides an area's structural verdict."""
        return StructuralConfig(self.inputs, DistrictTable(self.areas.districts), self.validation)

    def as_json(self) -> dict[str, Any]:
        """The form that :meth:`of` reads."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data
