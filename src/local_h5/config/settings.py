"""The checked configuration: what a run reads, where it writes, and which areas it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from local_h5.areas import District, all_requests, read_districts
from local_h5.config.layout import Layout
from local_h5.config.parts import Parts
from local_h5.config.paths import with_plain_paths
from local_h5.contracts.config import OWN, REGIONAL, Config, Inputs
from local_h5.contracts.policy import Policy
from local_h5.contracts.typed import typed
from local_h5.errors import ConfigError, MissingFilesError
from local_h5.files import forms
from local_h5.inputs.missing import MissingRules, code_text
from local_h5.requests import AreaBuildRequest

if TYPE_CHECKING:
    from local_h5.inputs.geography.tables import BlockTableFiles


@dataclass(frozen=True, slots=True)
class Package:
    """A calibration package: weights and exact geography of the same household clones, or a dataset that has both."""

    name: str
    weights: Path
    geography: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """A checked configuration; paths are relative to the folder that the workflow runs in."""

    config: Config
    where: str
    results: Path
    dataset: Path
    packages: tuple[Package, ...]
    block_districts: Path
    block_crosswalk: Path
    county_cbsa: Path
    districts: tuple[District, ...]
    requests: tuple[AreaBuildRequest, ...]
    parts: Parts
    """How the states are divided among the processes that run the model."""

    @classmethod
    def load(cls, config: Mapping[str, Any], where: str = "config", overrides: Mapping[str, Any] | None = None) -> Self:
        """Check a configuration and resolve its defaults.

        Args:
            config: parsed, with all defaults merged in.
            where: the file(s) that it came from, for messages.
            overrides: the part that was given on the command line. Snakemake reads values inside sections as text; here
                they get the type that they would have in a file.

        Raises:
            ConfigError: an unknown key, a wrong type, a missing file, half of a pair of inputs, a path that cannot
                be used (:mod:`local_h5.config.paths`).
            RequestError: a custom area's filter is malformed.
        """
        if overrides:
            config = merge(config, typed(Config, overrides))
        return cls.of(with_plain_paths(Config.from_json(_with_codes_as_text(config), where), where), where)

    @classmethod
    def of(cls, config: Config, where: str) -> Self:
        """The settings that follow from a checked configuration; see :meth:`load`."""
        inputs, layout = config.inputs, Layout(Path(config.results))
        _check_pairs(inputs, where)
        if inputs.from_dataset and config.takeup.filter is not None:
            raise ConfigError(
                f"{where}: takeup.filter: expected null, because a dataset with weights of its own keeps its "
                "take-up and nothing is drawn, found a list. Leave it out."
            )
        packages = [_package(name, inputs, layout) for name in inputs.packages]
        tables, downloads = inputs.tables, layout.downloads
        districts = read_districts(Path(config.areas.districts))
        settings = cls(
            config,
            where,
            layout.results,
            Path(inputs.dataset or layout.example / "source.h5"),
            tuple(packages),
            Path(tables.block_districts or downloads / "block_cd_distributions.csv.gz"),
            Path(tables.block_crosswalk or downloads / "block_crosswalk.csv.gz"),
            Path(tables.county_cbsa or downloads / "msa_definitions.csv"),
            districts,
            all_requests(
                districts,
                config.areas.cities,
                config.areas.custom,
                national_package=packages[-1].name,
                where=where,
                package=packages[0].name,
                whole_states=inputs.from_dataset,
            ),
            Parts.of(districts, config.validation.processes),
        )
        _check_files(settings)
        return settings

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the resolved configuration of a run, or any JSON with all keys.

        Raises:
            ConfigError: missing or malformed.
        """
        data = forms.read(path, dict[str, Any], ConfigError, "a JSON configuration", "Let the workflow write it again.")
        return cls.load(data, str(path))

    @property
    def layout(self) -> Layout:
        """Where everything of the run lies."""
        return Layout(self.results)

    @property
    def missing(self) -> MissingRules:
        """What to take for codes of the source that say "missing"."""
        return MissingRules.from_config(self.config.inputs.missing, f"{self.where}: inputs.missing")

    @property
    def from_dataset(self) -> bool:
        """Whether weights and places are the dataset's own."""
        return self.config.inputs.from_dataset

    @property
    def tables(self) -> "BlockTableFiles":
        """The public block tables."""
        from local_h5.inputs.geography.tables import BlockTableFiles

        return BlockTableFiles(self.block_districts, self.block_crosswalk, self.county_cbsa)

    @property
    def programmes(self) -> Path:
        """The list of take-up programmes."""
        return Path(self.config.takeup.programmes)

    @property
    def policy(self) -> Policy:
        """The validation policy."""
        return self.config.validation.of_run(example=self.config.inputs.example)

    @property
    def target_database(self) -> Path:
        """The user's target database, or else the example's."""
        own = self.config.inputs.targets
        return self.layout.example_targets if own is None else Path(own)


def _with_codes_as_text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration with the codes of ``inputs.missing`` as text; YAML reads ``-1`` and ``.nan`` as numbers."""
    inputs = config.get("inputs")
    given = inputs.get("missing") if isinstance(inputs, Mapping) else None
    if not isinstance(given, Mapping):
        return config
    missing = {
        name: {code_text(code): value for code, value in codes.items()} if isinstance(codes, Mapping) else codes
        for name, codes in given.items()
    }
    return {**config, "inputs": {**config["inputs"], "missing": missing}}


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``under``, as Snakemake merges: mappings key by key, everything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key, {})
        if isinstance(value, Mapping):
            # An empty mapping changes nothing. Another mapping replaces a value that is none.
            merged[key] = merge(before if isinstance(before, Mapping) else {}, value) if value else before
        else:
            merged[key] = value
    return merged


def _package(name: str, inputs: Inputs, layout: Layout) -> Package:
    if name == OWN:
        files = inputs.dataset, inputs.dataset
    elif name == REGIONAL:
        files = inputs.weights, inputs.geography
    else:
        files = inputs.national.weights, inputs.national.geography
    weights, geography = files
    return Package(
        name,
        Path(weights or layout.example / "calibration_weights.npy"),
        Path(geography or layout.example / "geography_assignment.npz"),
    )


def _check_pairs(inputs: Inputs, where: str) -> None:
    national = {"weights": inputs.national.weights, "geography": inputs.national.geography}
    together = {"inputs": inputs.own, "inputs.national": national}
    for group, values in together.items():
        given = [name for name, value in values.items() if value is not None]
        if given and len(given) < len(values):
            missing = [name for name in values if name not in given]
            raise ConfigError(
                f"{where}: {group}.{missing[0]}: expected a path, because {group}.{given[0]} is set, found null. "
                "Weights, geography and dataset belong together; set all or none."
            )


def _check_files(settings: Settings) -> None:
    """A file that the user named must exist before any job starts."""
    config = settings.config
    inputs, tables = config.inputs, config.inputs.tables
    named = {
        "variables": config.variables,
        "takeup.programmes": config.takeup.programmes,
        **{f"inputs.{name}": path for name, path in inputs.own.items()},
        "inputs.targets": inputs.targets,
        "inputs.national.weights": inputs.national.weights,
        "inputs.national.geography": inputs.national.geography,
        "inputs.tables.block_districts": tables.block_districts,
        "inputs.tables.block_crosswalk": tables.block_crosswalk,
        "inputs.tables.county_cbsa": tables.county_cbsa,
        "validation.population.table": config.validation.population.table,
        "validation.training": config.validation.training,
    }
    faults = [
        f"{settings.where}: {field}: expected an existing file, found {path}. Correct the path; it is relative to the "
        "folder that the workflow runs in."
        for field, path in named.items()
        if path is not None and not Path(path).is_file()
    ]
    if faults:
        raise MissingFilesError(faults)
