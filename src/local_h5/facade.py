"""One area file in one call, with the names and meaning of the function in the older code.

It uses the same parts as the workflow, with two differences: unless it is told otherwise the file has the caller's own
district codes, and blocks that no table has are allowed when their county exists (tests of callers make blocks up).
"""

import os
import re
import warnings
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib.resources import as_file, files
from inspect import get_annotations
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, get_args

import numpy as np

from local_h5 import us
from local_h5.build.area import BuildOptions, build_area
from local_h5.build.writer import Compression
from local_h5.contracts.results import sidecar_path, write_sidecar
from local_h5.errors import InputError, RequestError
from local_h5.files.atomic import check_output, sha256_of
from local_h5.inputs.entity_tables import MadeUnits
from local_h5.inputs.geography.block_table import BlockTable
from local_h5.inputs.geography.blocks import UnknownBlocksWarning, build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.load import load_geography
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.inputs.membership import HOUSEHOLD, SUB_ENTITIES
from local_h5.inputs.missing import MissingRules, Value
from local_h5.inputs.source import SourceDataset, read_source
from local_h5.inputs.weights import check_weights, load_weights
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.own import prepare_own_places
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.prepared.steps import (
    load_variable_rules,
    own_snapshot,
    prepare_snapshot,
    takeup_from_snapshot,
)
from local_h5.requests import AreaBuildRequest, AreaFilter, FilterField
from local_h5.takeup.programmes import Programme, load_programmes
from local_h5.takeup.table import Reported, Scope, Takeup, check_filter

TABLES_VARIABLE = "LOCAL_H5_BLOCK_TABLES"
"""Environment variable: the folder of the block tables."""

DEFAULT_TABLES = Path("results", "downloads")
"""Where the workflow's fetch rules put them, below the working folder."""

TABLE_NAMES = ("block_cd_distributions.csv.gz", "block_crosswalk.csv.gz", "msa_definitions.csv")


class GeographyLike(Protocol):
    """What ``geography`` may be besides a path: (n,) arrays by household clone, clone-major, and two sizes."""

    block_geoid: Any
    cd_geoid: Any
    county_fips: Any
    state_fips: Any
    n_records: int
    n_clones: int


def build_h5(
    weights: Any,
    geography: "GeographyLike | Geography | Path | str",
    dataset_path: Path | str,
    output_path: Path | str,
    cd_subset: Iterable[str | int] | None = None,
    county_fips_filter: Iterable[str | int] | None = None,
    takeup_filter: Collection[str] | None = None,
    *,
    block_tables: BlockTableFiles | Path | str | None = None,
    dataset_sha256: str | None = None,
    reported: Reported = "anchor",
    scope: Scope = "clone",
    compression: Compression = "none",
    missing: Mapping[str, Mapping[str, Value]] | None = None,
    at_large_code: us.AtLargeCode | None = None,
    year: int | None = None,
    units: Mapping[str, MadeUnits] | None = None,
) -> Path:
    """Build the H5 of one area, and its result sidecar beside it.

    Nothing is kept after the call: each one prepares its source anew, which takes the model. For several areas of one
    source see :class:`H5Builder`.

    Args:
        weights: (n_clones × n_households,) numbers, clone-major, or a ``.npy`` file of them. None, with ``geography``,
            when the dataset has weights and places of its own: then each household is a row once, and take-up is kept.
        geography: an object with ``block_geoid``, ``cd_geoid``, ``county_fips``, ``state_fips``, ``n_records`` and
            ``n_clones``, or a path to one of the three saved forms.
        dataset_path: the source, a period-grouped H5 or tables of entities.
        output_path: the file to write.
        cd_subset: only household clones of these districts. Codes match in any spelling (200, 0200, 201, 1198).
        county_fips_filter: only household clones of these counties.
        takeup_filter: take-up variables to draw; the others are true for everybody. None draws all.
        block_tables: the three public tables, or the folder that holds them. Else the folder that the environment
            variable ``LOCAL_H5_BLOCK_TABLES`` names, else ``results/downloads`` below the working folder.
        dataset_sha256: the digest that the source must have.
        reported: ``anchor``, or ``ignore`` to draw as if nobody reported receipt.
        scope: of adjusted take-up rates: ``clone`` as the calibration did, or ``area``.
        compression: of the datasets.
        missing: what to take for codes that say "missing", by variable: ``{"is_female": {"-1": False}}``. None refuses
            them (docs/source-columns.md).
        at_large_code: the two digits by which the file has at-large seats, as ``areas.at_large_code`` of the workflow:
            ``"00"`` or ``"01"``. None keeps the caller's codes: as ``cd_subset`` writes them, else as the geography.
        year: which one of a dataset of several years.
        units: how units are made for a dataset of tables without that entity's, as ``inputs.units`` of the workflow.

    Returns:
        ``output_path``.

    Warns:
        UnknownBlocksWarning: blocks are in no table (but in existing counties); their finer geography is empty.

    Raises:
        LocalH5Error: what is wrong with which argument, in one line. Neither file is left then, and an input is never
            overwritten.
    """
    given = locals()
    builder = H5Builder()
    builder._stacklevel = 3  # warnings name the caller's line
    return builder.build_h5(**given)


Made = TypeVar("Made")


class _Last(Generic[Made]):
    """Keeps the last value until another one is asked for."""

    def __init__(self) -> None:
        self._kept: tuple[Hashable, Made] | None = None

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # two sources need not be in memory at once
            self._kept = (key, make())
        return self._kept[1]


class H5Builder:
    """Builds files of several areas, and prepares their source once.

    It keeps what the last call prepared: the source as the model sees it, the geography of its blocks, and take-up.
    This takes some hundred megabytes for a source of production size, until the builder is dropped. The contents of the
    inputs decide what is used again, not their names or times. The files are the same as those of :func:`build_h5`.
    Use one builder in one thread.

    Example:
        >>> builder = H5Builder()
        >>> for name, code in {"NC-01": "3701", "NC-02": "3702"}.items():
        ...     builder.build_h5(weights, geography, "source.h5", f"{name}.h5", [code])
    """

    def __init__(self) -> None:
        self._snapshot: _Last[SourceSnapshot] = _Last()
        self._blocks: _Last[tuple[BlockTable, tuple[str, ...]]] = _Last()
        self._takeup: _Last[Takeup] = _Last()
        self._stacklevel = 2

    def build_h5(
        self,
        weights: Any,
        geography: "GeographyLike | Geography | Path | str",
        dataset_path: Path | str,
        output_path: Path | str,
        cd_subset: Iterable[str | int] | None = None,
        county_fips_filter: Iterable[str | int] | None = None,
        takeup_filter: Collection[str] | None = None,
        *,
        block_tables: BlockTableFiles | Path | str | None = None,
        dataset_sha256: str | None = None,
        reported: Reported = "anchor",
        scope: Scope = "clone",
        compression: Compression = "none",
        missing: Mapping[str, Mapping[str, Value]] | None = None,
        at_large_code: us.AtLargeCode | None = None,
        year: int | None = None,
        units: Mapping[str, MadeUnits] | None = None,
    ) -> Path:
        """:func:`build_h5`: the same arguments, errors and file."""
        source_path, output = Path(dataset_path), Path(output_path)
        own = _is_own(weights, geography)
        tables = None if own else _block_tables(block_tables)
        paths = [Path(item) for item in (weights, geography) if isinstance(item, str | Path)]
        paths += [source_path]
        if tables is not None:
            paths += [tables.block_districts, tables.crosswalk, tables.county_cbsa]
        for path in (output, sidecar_path(output)):
            check_output(path, paths)
        filters = (
            *_filter("cd_subset", "district", cd_subset),
            *_filter("county_fips_filter", "county", county_fips_filter),
        )
        request = AreaBuildRequest("custom", _area_id(output.stem), output.stem, filters)
        _check_choices(reported=(reported, Reported), scope=(scope, Scope), compression=(compression, Compression))
        if at_large_code is not None:
            _check_choices(at_large_code=(at_large_code, us.AtLargeCode))
        programmes = load_programmes()
        drawn = takeup_filter
        if drawn is not None:
            drawn = tuple(sorted(check_filter(drawn, [] if own else [item.variable for item in programmes])))

        rules = MissingRules.from_config(missing, "missing")
        made = _units(units)
        source = read_source(source_path, sha256=dataset_sha256, missing=rules, year=year, units=made)
        digest = (sha256_of(source_path), rules.as_json(), year, tuple(sorted(made.items())), own)
        if tables is None:
            mine = prepare_own_places(source, programmes)
            mine.clones.select(request, mine.blocks)  # an unknown or empty area is an error before the model is loaded
            inputs = mine.with_snapshot(self._snapshot.get(digest, lambda: _own_source_snapshot(source)))
            spelling = mine.places.spelling
        else:
            where = _geography(geography, len(source.ids[HOUSEHOLD]), tables)
            vector = _weights(weights, where)
            placed = (where.digest(), _identity(tables))
            blocks, messages = self._blocks.get(placed, lambda: _block_table(where, tables))
            for message in messages:
                warnings.warn(message, UnknownBlocksWarning, stacklevel=self._stacklevel)
            clones = CloneIndex.build(vector, where, blocks)
            clones.select(request, blocks)
            snapshot = self._snapshot.get(digest, lambda: _source_snapshot(source, programmes))
            takeup = self._takeup.get(
                (digest, placed[0], reported, scope),
                lambda: takeup_from_snapshot(snapshot, where, programmes, reported=reported, scope=scope),
            )
            inputs, spelling = PreparedInputs(snapshot, blocks, clones, takeup), where.spelling
        result = build_area(
            request,
            inputs,
            output.parent,
            options=BuildOptions(compression, drawn, at_large_code or {**spelling, **_spelling(filters)}),
            relative_path=output.name,
        )
        with ExitStack() as undo:
            for path in (output, sidecar_path(output)):
                undo.callback(path.unlink, missing_ok=True)
            write_sidecar(output, result)
            undo.pop_all()
        return output


def _check_choices(**choices: tuple[str, Any]) -> None:
    for argument, (value, kind) in choices.items():
        if value not in get_args(kind):
            raise RequestError(
                f"{argument}: expected one of {', '.join(get_args(kind))}, found {value!r}. Correct the argument."
            )


def _area_id(stem: str) -> str:
    """The file's stem as an area id."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", stem).lstrip("_-")[:64] or "area"


def _filter(argument: str, name: FilterField, values: Iterable[str | int] | None) -> tuple[AreaFilter, ...]:
    if values is None:
        return ()
    if isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping):
        # Numbers of a program lost no more than leading zeros; those of a YAML file may have been octal.
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        values = [str(value) if type(value) is int else value for value in plain]
    item = AreaFilter.from_json({"field": name, "op": "in", "value": values}, argument)
    return (AreaFilter(item.field, "in", tuple(sorted(item.values))),)


def _spelling(filters: Iterable[AreaFilter]) -> dict[int, int]:
    codes = [int(value) for item in filters if item.field == "district" for value in item.values]
    return {us.normalise_district(code): code for code in codes}


def _is_own(weights: object, geography: object) -> bool:
    """Whether weights and places are the dataset's own."""
    if (weights is None) != (geography is None):
        absent, given = ("weights", "geography") if weights is None else ("geography", "weights")
        raise InputError(
            f"{absent}: expected weights and geography of one calibration, or None for both when the dataset has its "
            f"own, found None beside a {given}. Give both or none."
        )
    return weights is None


def _units(units: Mapping[str, MadeUnits] | None) -> dict[str, MadeUnits]:
    made = dict(units or {})
    for entity, rule in made.items():
        if entity not in SUB_ENTITIES or rule not in get_args(MadeUnits):
            raise RequestError(
                f"units: expected {', '.join(SUB_ENTITIES)} with one of {', '.join(get_args(MadeUnits))}, found "
                f"{entity}: {rule!r}. Correct the argument."
            )
    return made


def _geography(geography: object, n_households: int, tables: BlockTableFiles) -> Geography:
    if isinstance(geography, str | Path):
        return load_geography(Path(geography), n_households, tables.block_districts)
    if not isinstance(geography, Geography):
        names = get_annotations(GeographyLike)
        missing = [name for name in names if not hasattr(geography, name)]
        if missing:
            raise InputError(
                f"geography: {', '.join(missing)}: expected an object with {', '.join(names)}, or a path, found a "
                f"{type(geography).__name__} without. Give the assignment that calibration made."
            )
        geography = Geography.from_arrays(**{name: getattr(geography, name) for name in names})
    if geography.n_households != n_households:
        raise InputError(
            f"geography: n_records: expected the {n_households:,} households of the source, found "
            f"{geography.n_households:,}. Use the geography that was made for this source."
        )
    return geography


def _source_snapshot(source: SourceDataset, programmes: Sequence[Programme]) -> SourceSnapshot:
    with as_file(files("local_h5") / "defaults" / "variables.yaml") as rules:
        return prepare_snapshot(source, load_variable_rules(rules), programmes)


def _own_source_snapshot(source: SourceDataset) -> SourceSnapshot:
    with as_file(files("local_h5") / "defaults" / "variables.yaml") as rules:
        return own_snapshot(source, load_variable_rules(rules))


def _weights(weights: object, geography: Geography) -> np.ndarray:
    sizes = (geography.n_households, geography.n_clones)
    if isinstance(weights, str | Path):
        return load_weights(Path(weights), *sizes)
    return check_weights(weights, "weights", *sizes)


def _block_tables(given: BlockTableFiles | Path | str | None) -> BlockTableFiles:
    if isinstance(given, BlockTableFiles):
        tables = given
    else:
        folder = Path(given or os.environ.get(TABLES_VARIABLE) or DEFAULT_TABLES)
        tables = BlockTableFiles(*(folder / name for name in TABLE_NAMES))
    missing = [path for path in (tables.block_districts, tables.crosswalk, tables.county_cbsa) if not path.is_file()]
    if missing:
        targets = " ".join(str(DEFAULT_TABLES / name) for name in TABLE_NAMES)
        raise InputError(
            f"{missing[0]}: block_tables: expected the public block tables {', '.join(TABLE_NAMES)}, found no "
            f"such file. In the project's folder run 'snakemake --cores 1 {targets}', then work there, set "
            f"{TABLES_VARIABLE} to that folder, or pass it as block_tables."
        )
    return tables


def _identity(tables: BlockTableFiles) -> tuple[str, ...]:
    return tuple(sha256_of(path) for path in (tables.block_districts, tables.crosswalk, tables.county_cbsa))


def _block_table(geography: Geography, tables: BlockTableFiles) -> tuple[BlockTable, tuple[str, ...]]:
    """The table, and the warnings about unknown blocks that each use of it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnknownBlocksWarning)
        table = build_block_table(geography, tables, "allow")
    return table, tuple(str(item.message) for item in caught if item.category is UnknownBlocksWarning)
