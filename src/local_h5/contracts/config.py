"""The configuration. ``config/config.yaml`` explains each key and has the defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from local_h5 import us
from local_h5.areas import CustomArea
from local_h5.contracts.policy import Policy
from local_h5.errors import ConfigError
from local_h5.files import forms
from local_h5.files.forms import Count, FilePath, Form, Positive, Sha256, Text

Image = Annotated[str, forms.matching(r"[^\s'\"{}]+")]
Variable = Annotated[str, forms.matching("[a-z][a-z0-9_]*")]
FROM_DATASET = "from_dataset"
REGIONAL, NATIONAL = "regional", "national"
"""Calibration packages: of all areas, and of a nation with weights of its own."""
OWN = "dataset"
"""The package of a dataset with weights and places of its own."""
UnitEntity = Literal["tax_unit", "spm_unit", "family", "marital_unit"]
MadeUnits = Literal["links", "household", "person"]
AtLeastOne = Annotated[int, Meta(ge=1)]
Licence = Annotated[str, forms.matching(r"(https://[^\s/]+(/\S*)?|(?!unspecified$)[A-Za-z0-9][A-Za-z0-9.+-]*)")]
"""An SPDX identifier (CC0-1.0, LicenseRef-...) or an https address."""
Line = Annotated[str, forms.matching(r"\S(.{0,248}\S)?")]
"""A line of at most 250 characters."""
_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
_VERSION = r"\s*(===|[=!~<>]=|<|>)\s*[0-9][A-Za-z0-9.!+*_-]*\s*"
Name = Annotated[str, forms.matching(_NAME)]
Repository = Annotated[str, forms.matching(f"{_NAME}/{_NAME}")]
Claim = Annotated[str, forms.matching(rf"\s*([A-Za-z][A-Za-z0-9._-]*)?{_VERSION}(,{_VERSION})*")]
"""A version specifier as Python packages write them, with or without the name of the package."""


class NationalInputs(Form, frozen=True):
    """Separate weights and geography of the nation."""

    weights: FilePath | None
    geography: FilePath | None


class Tables(Form, frozen=True):
    """Public block tables; null for the fetched ones."""

    block_districts: FilePath | None
    block_crosswalk: FilePath | None
    county_cbsa: FilePath | None


class Inputs(Form, frozen=True):
    """The inputs of a run; null for the example's own.

    Attributes:
        weights: file of a calibration package, or ``from_dataset``.
        geography: file of the same package, or ``from_dataset``.
        missing: variable → code → value, for codes of the source that mean a missing value.
        year: which one of a dataset of several years; null for the only one.
        units: entity → how its units are made, for a dataset of tables without that entity's: those that the persons'
            ids name (``links``), one in each household, or one of each person.
    """

    weights: FilePath | None
    geography: FilePath | None
    dataset: FilePath | None
    dataset_sha256: Sha256 | None
    targets: FilePath | None
    national: NationalInputs
    tables: Tables
    missing: Mapping[Variable, Mapping[str, bool | int | float | str]] = {}
    year: Annotated[int, Meta(ge=1900, le=2999)] | None = None
    units: Mapping[UnitEntity, MadeUnits] = {}

    def __post_init__(self) -> None:
        other = {"weights": self.weights, "geography": self.geography}
        said = [name for name, value in other.items() if value == FROM_DATASET]
        if said and set(other.values()) - {FROM_DATASET, None}:
            raise ValueError(f"expected {FROM_DATASET} for weights and geography, found it for {said[0]} alone")
        if said and self.dataset is None:
            raise ValueError(f"dataset: expected a path, because {said[0]} is {FROM_DATASET}, found null")
        if self.from_dataset and (self.national.weights or self.national.geography):
            raise ValueError("national: expected null, because weights and places are the dataset's own, found a path")

    @property
    def from_dataset(self) -> bool:
        """Whether the dataset has weights and places of its own: it is given alone."""
        return self.dataset is not None and {self.weights, self.geography} <= {None, FROM_DATASET}

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of what areas are read from; the files of each are prepared in a folder of that name."""
        if self.from_dataset:
            return (OWN,)
        return (REGIONAL,) if None in (self.national.weights, self.national.geography) else (REGIONAL, NATIONAL)

    @property
    def own(self) -> dict[str, str | None]:
        """Files that belong together: weights, geography and dataset, or a dataset with weights and places."""
        files = {"weights": self.weights, "geography": self.geography, "dataset": self.dataset}
        return {"dataset": self.dataset} if self.from_dataset else files

    @property
    def example(self) -> bool:
        """Whether any of them is the example's."""
        return None in self.own.values()


class Areas(Form, frozen=True):
    """The areas of a run.

    Attributes:
        at_large_code: the two digits by which files write the district of an at-large seat. Names of files have 01.
    """

    districts: FilePath
    cities: tuple[str, ...]
    custom: tuple[CustomArea, ...]
    at_large_code: us.AtLargeCode = "00"

    def __post_init__(self) -> None:
        if len(set(self.cities)) != len(self.cities):
            raise ValueError(f"cities: expected every id once, found {', '.join(self.cities)}")


class Geography(Form, frozen=True):
    """Treatment of blocks outside the tables."""

    unknown_blocks: Literal["error", "allow"]


class Takeup(Form, frozen=True):
    """How take-up is drawn."""

    programmes: FilePath
    reported: Literal["anchor", "ignore"]
    scope: Literal["clone", "area"]
    filter: tuple[str, ...] | None


Compression = Literal["none", "gzip", "lzf"]


OutputForm = Literal["periods", "tables"]


class Output(Form, frozen=True):
    """How files are written.

    Attributes:
        form: a dataset for each variable and period, or a table for each entity.
        nation_parquet: whether the nation is also written as Parquet files by district, and published with the areas.
    """

    compression: Compression
    medicaid_cost: Literal["state_average", "model"]
    form: OutputForm = "periods"
    nation_parquet: bool = False

    RULES: ClassVar[Mapping[str, Any]] = {
        "if": {"properties": {"form": {"const": "tables"}}, "required": ["form"]},
        "then": {"properties": {"compression": {"enum": ["none", "gzip"]}}},
    }

    def __post_init__(self) -> None:
        if self.form == "tables" and self.compression == "lzf":
            raise ValueError("compression: expected none or gzip, which pandas reads in tables, found lzf")


class Release(Form, frozen=True):
    """What the release manifest says of the hub repository that will hold the files, for release bundles.

    Attributes:
        package: of the data package.
        tag: revision in the repository, and version of the data package; null for the run's id.
        compatible: claimed besides the versions that built the files: ``>=2.2,<3`` of the model, or with the name of a
            package ``policyengine-core>=3.33,<4``.
    """

    repo: Repository = "local/local-h5"
    repo_type: Literal["model", "dataset"] = "model"
    package: Name = "local-h5"
    tag: Name | None = None
    compatible: tuple[Claim, ...] = ()


class Store(Form, frozen=True):
    """Where a run is published, under which licence, how to cite it, as which release, and whether areas may go.

    Attributes:
        reason, by: why it is published, and by whom; the history of the channel has both.
        allow_removal: publish although the store's newest run has areas that this one does not have.
    """

    url: Text | None
    licence: Licence | None = None
    citation: Line | None = None
    reason: Line | None = None
    by: Line | None = None
    allow_removal: bool = False
    release: Release = Release()


class Example(Form, frozen=True):
    """Size and seed of the example."""

    households: Annotated[int, Meta(ge=100)]
    clones: AtLeastOne
    seed: Count
    certainty_amount: Positive
    minimum_per_state: AtLeastOne
    zero_share: Annotated[float, Meta(ge=0, lt=1)]
    cache: FilePath


class DistrictTable(msgspec.Struct, frozen=True):
    """The table of congressional districts."""

    districts: FilePath


class StructuralConfig(msgspec.Struct, frozen=True):
    """The part of the configuration that area jobs read. The whole is also accepted.

    With very many areas the whole has megabytes.
    """

    inputs: Inputs
    areas: DistrictTable
    validation: Policy


class Config(Form, frozen=True):
    """A configuration with all its keys.

    Attributes:
        results: folder of everything that a run makes.
        notes: what readers have to know of every published file, besides the notes that the source gives to each.
        variables: file with variables of the source that are left out, moved or ids.
        container: image for ``--sdm apptainer``, of containers/Dockerfile.
    """

    results: FilePath
    notes: Mapping[str, str]
    inputs: Inputs
    areas: Areas
    variables: FilePath
    geography: Geography
    takeup: Takeup
    output: Output
    validation: Policy
    store: Store
    example: Example
    container: Image | None = None

    ERROR = ConfigError

    @property
    def area_choices(self) -> tuple[Compression, tuple[str, ...] | None, us.AtLargeCode, OutputForm]:
        """What decides every area's file beside its prepared inputs: compression, take-up filter, at-large code, form.

        Area jobs build by it, and the plan is made again when it changes.
        """
        drawn = self.takeup.filter
        output = self.output
        return output.compression, None if drawn is None else tuple(drawn), self.areas.at_large_code, output.form

    @property
    def structural(self) -> StructuralConfig:
        """The part that decides an area's structural verdict."""
        return StructuralConfig(self.inputs, DistrictTable(self.areas.districts), self.validation)
