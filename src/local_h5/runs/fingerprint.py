"""The fingerprint of an area: one digest for each component that decides its bytes.

Components are digests of the area's own slice of each input, never of whole files, so that a change elsewhere does not
affect the area. A state has the rows of its districts, so its digests are made from theirs.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import to_builtins

from local_h5.build.area import BuildOptions, area_units, versions
from local_h5.contracts.results import Fingerprint
from local_h5.inputs.geography.codes import at_large, distinct
from local_h5.inputs.membership import PERSON, entity_rows, reindex
from local_h5.prepared.clones import CloneSelection
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.requests import AreaBuildRequest
from local_h5.runs.code import AREA_MODULES, code_digest
from local_h5.takeup.assign import inputs_digest
from local_h5.us import normalise_district

SLICES = ("weights", "geography", "blocks", "takeup")
"""Components that depend on the area's household clones."""

AT_LARGE = "at_large_code"
"""Component of areas with households in an at-large seat: how the file writes its code."""

ROWS = "rows"
"""Component with an area's rows of a dataset that is not cloned."""

_UNION = "districts:"


def run_components(inputs: PreparedInputs, options: BuildOptions) -> dict[str, str]:
    """Components that all areas of a run share: snapshot, code, versions, configuration.

    Raises:
        InputError: the source has what the form of the files cannot hold.
    """
    if options.form == "tables":
        inputs.snapshot.of_the_year()
    config = {
        "compression": options.compression,
        "form": options.form,
        "takeup": {
            "filter": None if options.takeup_filter is None else sorted(options.takeup_filter),
            "reported": inputs.takeup.reported,
            "scope": inputs.takeup.scope,
        },
        "year": inputs.snapshot.year,
        "place_columns": list(inputs.blocks.columns),
        "text_widths": {name: field.values.dtype.itemsize for name, field in inputs.blocks.fields.items()},
    }
    own = inputs.takeup.own is not None  # then rows count by area, see _rows_digest
    return {
        "snapshot": snapshot_form(inputs.snapshot) if own else inputs.snapshot.content,
        "dictionary": _digest_arrays(inputs.snapshot.labels),
        "code": code_digest(AREA_MODULES),
        "versions": _digest_json(versions(inputs.snapshot)),
        "config": _digest_json(config),
    }


class Fingerprints:
    """The fingerprints of areas of one calibration package. The components of a district are computed once.

    Args:
        inputs: prepared, of the package.
        options: of the run.

    Raises:
        InputError: the source has what the form of the files cannot hold.
    """

    def __init__(self, inputs: PreparedInputs, options: BuildOptions) -> None:
        self._inputs, self._options = inputs, options
        self._shared = run_components(inputs, options)
        self._districts: dict[int, dict[str, str]] = {}

    def of(self, request: AreaBuildRequest, decides: Mapping[str, Any] | None = None) -> Fingerprint:
        """The fingerprint of an area.

        Args:
            request: the area.
            decides: what else its structural verdict depends on (JSON); None leaves this component out.

        Raises:
            RequestError, EmptySelectionError: the area is unknown or has no household clone.
        """
        validation = {} if decides is None else {"validation": _digest_json(decides)}
        own = {**self._slices(request), "request": _digest_json(to_builtins(request)), **validation}
        return combine({**self._shared, **own})

    def _slices(self, request: AreaBuildRequest) -> Mapping[str, str]:
        inputs = self._inputs
        codes = _districts_of(request, inputs)
        if codes is None or inputs.takeup.scope == "area":
            # Rates adjusted within a file depend on all of its rows at once.
            return _slices(inputs, inputs.clones.select(request, inputs.blocks), self._options)
        for code in codes:
            if code not in self._districts:
                selection = inputs.clones.district(code)
                self._districts[code] = _slices(inputs, selection, self._options) if len(selection) else {}
        slices = _union({code: self._districts[code] for code in codes if self._districts[code]})
        if not slices:
            inputs.clones.select(request, inputs.blocks)  # raises, with the reason
        return slices


def _union(districts: Mapping[int, Mapping[str, str]]) -> Mapping[str, str]:
    if len(districts) < 2:
        return next(iter(districts.values()), {})
    joined = {
        name: _digest_text(_UNION, *(f"{code}={slices[name]}" for code, slices in sorted(districts.items())))
        for name in (*SLICES, ROWS)
        if name in next(iter(districts.values()))
    }
    same = {name: value for slices in districts.values() for name, value in slices.items() if name == AT_LARGE}
    return joined | same


def combine(components: Mapping[str, str]) -> Fingerprint:
    """The fingerprint of the given component digests."""
    return Fingerprint(_digest_json(dict(components)), dict(sorted(components.items())))


def _districts_of(request: AreaBuildRequest, inputs: PreparedInputs) -> list[int] | None:
    """The districts that an area consists of; None when it is cut otherwise, or names one that is not there."""
    present = inputs.clones.districts.tolist()
    if not request.filters:
        return present
    if len(request.filters) > 1:
        return None
    (only,) = request.filters
    if only.field == "district":
        codes = sorted({normalise_district(int(value)) for value in only.values})
        return codes if set(codes) <= set(present) else None
    if only.field == "state" and inputs.takeup.own is not None:
        # A dataset's own places have no district of another state, and 100 * state where it is not known.
        states = {int(value) for value in only.values}
        return [code for code in present if code // 100 in states]
    return None


def _slices(inputs: PreparedInputs, selection: CloneSelection, options: BuildOptions) -> dict[str, str]:
    blocks = inputs.blocks
    used = distinct(selection.block.copy())
    rows = [blocks.geoid[used], blocks.known[used], *(blocks.text(name, used) for name in blocks.fields)]
    if blocks.known_digits is not None:
        rows.append(blocks.known_digits[used])
    entities = {table.entity for table in inputs.takeup.programmes}
    unit_rows = entity_rows(inputs.snapshot.membership, selection.household, entities)
    units = area_units(inputs, selection, unit_rows, blocks.at(selection.block))
    spelling = {AT_LARGE: _digest_json(options.district_codes)} if at_large(selection.district).any() else {}
    return spelling | {
        "weights": _digest_arrays(selection.clone, selection.household, selection.weight),
        "geography": _digest_arrays(blocks.geoid[selection.block], selection.district),
        "blocks": _digest_arrays(*rows),
        "takeup": inputs_digest(inputs.takeup, units, options.takeup_filter),
        **({} if inputs.takeup.own is None else {ROWS: _rows_digest(inputs, selection)}),
    }


def _rows_digest(inputs: PreparedInputs, selection: CloneSelection) -> str:
    """Digest of what an area's file has of the source: ids, links and values."""
    snapshot, sha = inputs.snapshot, hashlib.sha256()
    reindexed = reindex(snapshot.membership, selection.household, selection.clone)
    for entity, rows in reindexed.rows.items():
        arrays = [reindexed.ids(entity), *(() if entity == PERSON else (reindexed.links(entity),))]
        places = rows.source_row.astype(np.intp)  # numpy's own index type; else it converts them for every column
        for name in sorted(snapshot.matrices):
            if name.partition("/")[0] == entity:
                arrays += [row.take(places) for row in snapshot.matrices[name]]
        sha.update(f"{entity}={_digest_arrays(*arrays)}".encode())
    return sha.hexdigest()


def snapshot_form(snapshot: SourceSnapshot) -> str:
    """Digest of what every file has of a source, whichever rows it has: its columns, texts and notes."""
    return _digest_json(
        {
            "columns": to_builtins(snapshot.columns),
            "vocabularies": {name: _digest_arrays(words) for name, words in sorted(snapshot.vocabularies.items())},
            "excluded": to_builtins(snapshot.excluded),
            "notes": dict(snapshot.notes),
            "state_values": {item.variable: _digest_arrays(item.by_fips) for item in snapshot.state_values},
            "counties": _digest_arrays(snapshot.county_fips, snapshot.county_name),
        }
    )


def _digest_arrays(*arrays: np.ndarray) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).view(np.uint8).data)
    return sha.hexdigest()


def _digest_text(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _digest_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
