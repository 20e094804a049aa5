"""The adapter to the country model: the only module that imports ``policyengine_us``.

Importing the model costs about 16 CPU-seconds, so it happens inside :func:`build_snapshot`, once per source.
"""

import importlib.metadata
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from local_h5.errors import ModelError, SourceError, WriteError
from local_h5.files import sha256_of
from local_h5.h5file import create_h5
from local_h5.membership import HOUSEHOLD
from local_h5.snapshot import Excluded, IncomeLimits, SourceColumn, SourceSnapshot
from local_h5.source import ENTITIES, SUB_ENTITIES, SourceDataset

PACKAGES = ("policyengine-us", "policyengine-core")

STRUCTURAL = frozenset(
    {f"{entity}_id" for entity in ENTITIES} | {f"person_{entity}_id" for entity in (HOUSEHOLD, *SUB_ENTITIES)}
)
"""Ids and links, written anew in every file."""

GEOGRAPHIC = frozenset(
    {
        "block_geoid", "tract_geoid", "county_fips", "state_fips", "county", "congressional_district_geoid",
        "cbsa_code", "sldu", "sldl", "place_fips", "vtd", "puma", "zcta", "zip_code",
    }
)  # fmt: skip
"""Written from the calibration package's geography, never from the source."""

HUD_LIMITS = ("extremely_low_income", "very_low_income", "low_income")
HUD_SIZES = 8
"""The model clips family size to 1…8 when it looks a limit up."""


@dataclass(frozen=True, slots=True)
class VariableRules:
    """Which source variables are left out, and where the loader moves others (``config/variables.yaml``)."""

    calculated: frozenset[str]
    moved: Mapping[str, str]


def build_snapshot(
    source: SourceDataset,
    rules: VariableRules,
    *,
    model_values: Collection[str],
    reports: Collection[str],
) -> SourceSnapshot:
    """Load ``source`` in the model and keep what the model holds.

    Args:
        source: checked by :func:`local_h5.source.read_source`.
        rules: what is not written, and what moves.
        model_values: variables to calculate for every unit of their entity (take-up needs them).
        reports: variables to read from the source file itself, known to the model or not; absent ones are skipped.

    Raises:
        ModelError: the model is not installed, or refuses the source.
        SourceError: a column has a wrong length, dtype or enum member; a moved variable contradicts its target; the
            loader dropped a column that it knows.
    """
    try:
        from policyengine_us import Microsimulation
        from policyengine_us.spm import REJECTED_DATASET_INPUTS
        from policyengine_us.system import system
    except ImportError as error:
        raise ModelError(
            "policyengine_us",
            expected="the installed model",
            found=str(error),
            remedy="Install the 'model' extra: pip install 'local-h5[model]'.",
        ) from error

    known = system.variables
    excluded: dict[str, str] = {}
    for name in sorted(source.periods):
        if name in STRUCTURAL:
            continue
        if name in REJECTED_DATASET_INPUTS:
            excluded[name] = "refused by the model as a dataset input"
        elif name in rules.calculated:
            excluded[name] = "calculated by the model"
        elif name not in known:
            excluded[name] = "unknown to the model"
    loaded = [name for name in source.periods if name not in excluded]
    for name in loaded:
        if name not in STRUCTURAL:
            _check_column(source, known[name])
    _check_moves(source, rules)

    with tempfile.TemporaryDirectory(prefix="local_h5_") as folder:
        accepted = Path(folder) / source.path.name
        _copy_groups(source.path, loaded, accepted)
        try:
            simulation = Microsimulation(dataset=str(accepted))
        except (ValueError, KeyError, AssertionError) as error:
            raise ModelError(
                source.path,
                expected="a dataset that the model loads",
                found=f"{type(error).__name__}: {error}",
                remedy="Correct the source; the message is the model's own.",
            ) from error

    builder = _ColumnBuilder()
    held = set()
    for name, variable in known.items():
        holder = simulation.get_holder(name)
        stored = sorted(holder.get_known_periods(), key=str)
        if not stored:
            continue
        held.add(name)
        if name in STRUCTURAL or name == "household_weight":
            continue
        if name in GEOGRAPHIC:
            excluded.setdefault(name, "written from the calibration package")
        elif name.endswith("_weight") and name.removesuffix("_weight") in ENTITIES:
            excluded.setdefault(name, "a weight that the model derives from household_weight")
        else:
            for period in stored:
                builder.add(variable, str(period), holder.get_array(period))
    _refuse_vanished(source, loaded, held, rules)

    values = {
        name: np.asarray(_plain(simulation.calculate(name, source.year, use_weights=False)))
        for name in sorted(model_values)
    }
    values |= {
        name: _as_bool(source, name) for name in sorted(reports) if name in source.periods and name not in values
    }
    county_fips, county_name = _counties()
    return SourceSnapshot(
        year=source.year,
        n_rows={entity: len(source.ids[entity]) for entity in ENTITIES},
        membership=source.membership,
        columns=tuple(sorted(builder.columns, key=lambda c: (c.variable, c.period))),
        matrices=builder.matrices(),
        vocabularies=builder.vocabularies,
        excluded=tuple(Excluded(name, reason) for name, reason in sorted(excluded.items())),
        household_id=source.ids[HOUSEHOLD],
        values=values,
        county_fips=county_fips,
        county_name=county_name,
        income_limits=_income_limits(source.year, county_fips),
        versions={name: importlib.metadata.version(name) for name in PACKAGES},
        notes=source.notes,
        source_sha256=sha256_of(source.path),
        source_bytes=source.path.stat().st_size,
    )


def _copy_groups(source: Path, names: Collection[str], target: Path) -> None:
    try:
        with h5py.File(source, "r") as original, create_h5(target) as copy:
            for name in names:
                original.copy(name, copy)
    except OSError as error:
        raise WriteError(
            target.parent,
            field="temporary folder",
            expected=f"room for a copy of {source}",
            found=error.strerror or str(error),
            remedy="Free space, or set TMPDIR to another folder.",
        ) from error


class _ColumnBuilder:
    """Collects columns into one matrix per entity and dtype; equal columns of a variable share a row."""

    def __init__(self) -> None:
        self.columns: list[SourceColumn] = []
        self.vocabularies: dict[str, np.ndarray] = {}
        self._rows: dict[str, list[np.ndarray]] = {}
        self._latest: dict[str, tuple[np.ndarray, str, int]] = {}

    def add(self, variable: Any, period: str, held: Any) -> None:
        name, entity = variable.name, variable.entity.key
        members = _members(variable)
        if members is not None:
            words = _utf8(members)
            values = np.asarray(held).astype(np.int16)
        elif np.asarray(held).dtype.kind in "OUSM":
            text = _utf8(held)
            words = np.unique(text)
            if name in self.vocabularies:  # another period of the same variable: one vocabulary for all
                words = np.union1d(self.vocabularies[name], words)
                self._recode(name, words)
            values = np.searchsorted(words, text).astype(np.int32)
        else:
            words, values = None, np.asarray(held)
        if words is not None:
            self.vocabularies[name] = words
        matrix = f"{entity}/{values.dtype.name}"
        previous = self._latest.get(name)
        if previous is not None and previous[1] == matrix and np.array_equal(previous[0], values):
            row = previous[2]
        else:
            row = len(self._rows.setdefault(matrix, []))
            self._rows[matrix].append(values)
        self._latest[name] = (values, matrix, row)
        self.columns.append(SourceColumn(name, entity, period, matrix, row, words is not None))

    def _recode(self, name: str, words: np.ndarray) -> None:
        old = self.vocabularies[name]
        renumber = np.searchsorted(words, old)
        for place in {(c.matrix, c.row) for c in self.columns if c.variable == name}:
            matrix, row = place
            self._rows[matrix][row] = renumber[self._rows[matrix][row]].astype(np.int32)
        _, matrix, row = self._latest[name]
        self._latest[name] = (self._rows[matrix][row], matrix, row)

    def matrices(self) -> dict[str, np.ndarray]:
        return {name: np.stack(rows) for name, rows in self._rows.items()}


def _members(variable: Any) -> list[str] | None:
    possible = getattr(variable, "possible_values", None)
    return None if possible is None else [member.name for member in possible]


def _plain(values: Any) -> np.ndarray:
    """A model array as numbers or fixed-width text (enums by member name)."""
    decode = getattr(values, "decode_to_str", None)
    array = np.asarray(decode() if decode is not None else values)
    return _utf8(array) if array.dtype.kind in "OU" else array


def _utf8(text: Any) -> np.ndarray:
    """Text as fixed-width bytes; the model decodes them as UTF-8 (``DOÑA_ANA_COUNTY_NM``)."""
    return np.char.encode(np.asarray(text).astype("U"), "utf-8")


def _check_column(source: SourceDataset, variable: Any) -> None:
    entity = variable.entity.key
    expected = len(source.ids[entity])
    members = _members(variable)
    for period, values in source.read(variable.name).items():
        field = f"{variable.name}/{period}"
        if len(values) != expected:
            raise SourceError(
                source.path,
                field=field,
                expected=f"{expected:,} values, one a {entity}",
                found=f"{len(values):,}",
                remedy="Store the variable for the entity that the model gives it.",
            )
        textual = values.dtype.kind in "OUS"
        if members is not None and textual:
            unknown = sorted(set(np.unique(values.astype("U")).tolist()) - set(members))
            if unknown:
                raise SourceError(
                    source.path,
                    field=field,
                    expected=f"members of the model's enum ({', '.join(members[:6])}, …)",
                    found=", ".join(map(repr, unknown[:3])),
                    remedy="Use the names that the installed model has.",
                )
        elif members is not None and (values.min() < 0 or values.max() >= len(members)):
            raise SourceError(
                source.path,
                field=field,
                expected=f"enum indexes 0…{len(members) - 1}",
                found=f"{values.min()}…{values.max()}",
                remedy="Store the members' names.",
            )
        elif members is None and textual and variable.value_type in (int, float, bool):
            raise SourceError(
                source.path,
                field=field,
                expected=f"{variable.value_type.__name__} values",
                found="text",
                remedy="Store numbers.",
            )


def _check_moves(source: SourceDataset, rules: VariableRules) -> None:
    for name, target in rules.moved.items():
        if name not in source.periods or target not in source.periods:
            continue
        left, right = source.read(name), source.read(target)
        for period in left.keys() & right.keys():
            differs = np.flatnonzero(left[period] != right[period])
            if len(differs):
                row = differs[0]
                raise SourceError(
                    source.path,
                    field=f"{name}/{period}",
                    expected=f"the values of {target}, where the model moves it",
                    found=f"{len(differs):,} that differ, first row {row}: "
                    f"{left[period][row]} against {right[period][row]}",
                    remedy=f"Keep one of {name} and {target}.",
                )


def _refuse_vanished(source: SourceDataset, loaded: list[str], held: set[str], rules: VariableRules) -> None:
    vanished = [
        name for name in loaded if name not in held and name not in STRUCTURAL and rules.moved.get(name) not in held
    ]
    if vanished:
        raise SourceError(
            source.path,
            field=", ".join(vanished[:5]),
            expected="every known variable to be held by the model after loading",
            found=f"{len(vanished)} that its loader dropped",
            remedy="Add it to 'moved' or 'calculated' in config/variables.yaml, with the reason.",
        )


def _as_bool(source: SourceDataset, name: str) -> np.ndarray:
    values = next(iter(source.read(name).values()))
    return values.astype(np.float64) > 0 if values.dtype.kind in "iuf" else values.astype(bool)


def _counties() -> tuple[np.ndarray, np.ndarray]:
    """FIPS (int32, ascending) and County member name (bytes) of every county that the model knows by FIPS."""
    from policyengine_us.tools.geography.county_helpers import (
        load_county_fips_dataset,
        map_county_string_to_enum,
    )
    from policyengine_us.variables.household.demographic.geographic.county.county_enum import County

    table = load_county_fips_dataset()
    names = _utf8([member.name for member in County])
    index = map_county_string_to_enum(table["county_name"], table["state"]).to_numpy().astype(int)
    fips = table["county_fips"].astype(int).to_numpy().astype(np.int32)
    order = np.argsort(fips, kind="stable")
    return fips[order], names[index[order]]


def _income_limits(year: int, county_fips: np.ndarray) -> IncomeLimits:
    from policyengine_us.parameters.gov.hud.income_limits import lookup_sized_income_limit

    county = np.unique(county_fips)
    text = np.char.zfill(county.astype("U5"), 5)
    limit = np.zeros((len(county), HUD_SIZES))
    for size in range(1, HUD_SIZES + 1):
        sizes = np.full(len(county), size)
        for prefix in HUD_LIMITS:
            limit[:, size - 1] = np.maximum(limit[:, size - 1], lookup_sized_income_limit(text, sizes, year, prefix))
    return IncomeLimits(county, limit)
