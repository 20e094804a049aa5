"""One area: request → selection → reindexed rows → payload → file → result.

The arguments alone decide an area's bytes. This module imports numpy and h5py, never the model.
"""

import platform
from collections.abc import Collection, Mapping
from pathlib import Path

import h5py
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from local_h5 import us
from local_h5.build.payload import UNKNOWN_COUNTY, area_columns, county_names
from local_h5.build.writer import Compression, Form, write_h5
from local_h5.contracts.results import (
    AreaResult,
    AtLarge,
    Fingerprint,
    InputFile,
    Issue,
    OutputFile,
    Validation,
    WeightSummary,
)
from local_h5.inputs.geography.block_table import GEOID_COLUMNS, BlockRows
from local_h5.inputs.geography.codes import at_large
from local_h5.inputs.membership import PERSON, EntityRows, Reindexed, reindex
from local_h5.prepared.clones import CloneSelection
from local_h5.prepared.files import PreparedInputs
from local_h5.prepared.snapshot import SourceSnapshot
from local_h5.requests import AreaBuildRequest, output_path
from local_h5.takeup.assign import AreaUnits, take_up

ADULT_AGE = 18
"""An SPM unit without a person of this age makes the model's poverty calculation fail for the whole file."""


class BuildOptions(Struct, frozen=True):
    """Choices that concern every area of a run.

    Attributes:
        compression: of the datasets.
        takeup_filter: programmes to draw; None draws all.
        district_codes: the digits that files have for at-large seats; or normalised district code → the code to write
            instead, for others the normalised one (the facade keeps its caller's codes).
        form: a dataset for each variable and period, or a table for each entity.
    """

    compression: Compression = "none"
    takeup_filter: tuple[str, ...] | None = None
    district_codes: us.AtLargeCode | Mapping[int, int] = "00"
    form: Form = "periods"


class Provenance(Struct, frozen=True):
    """Facts from the caller, copied to the sidecar."""

    fingerprint: Fingerprint | None = None
    validation: Validation = Validation("skipped", "not run in this step")


_OPTIONS, _PROVENANCE = BuildOptions(), Provenance()


def build_area(
    request: AreaBuildRequest,
    inputs: PreparedInputs,
    folder: Path,
    *,
    options: BuildOptions = _OPTIONS,
    provenance: Provenance = _PROVENANCE,
    relative_path: str | None = None,
) -> AreaResult:
    """Build one area's H5 below ``folder`` and return its result (the caller writes the sidecar).

    Args:
        request: the area.
        inputs: prepared.
        folder: output folder; the file is ``request.relative_path`` below it.
        options: see :class:`BuildOptions`.
        provenance: see :class:`Provenance`.
        relative_path: another path below ``folder``.

    Raises:
        RequestError, EmptySelectionError: the area is unknown or has no household clone.
        InputError: a state without a rate, an unknown programme in the filter.
        WriteError: nothing is left under the file's name.
    """
    relative = request.relative_path if relative_path is None else type(request.relative_path)(relative_path)
    path = output_path(folder, relative)
    selection = inputs.clones.select(request, inputs.blocks)
    reindexed = reindex(inputs.snapshot.membership, selection.household, selection.clone)
    blocks = inputs.blocks.at(selection.block)
    drawn = take_up(inputs.takeup, area_units(inputs, selection, reindexed.rows, blocks), options.takeup_filter)
    entity_of = {programme.variable: programme.entity for programme in inputs.takeup.programmes}
    written = write_h5(
        path,
        area_columns(
            inputs.snapshot,
            blocks,
            selection,
            reindexed,
            {name: (entity_of[name], values) for name, values in drawn.items()},
            options.district_codes,
            options.form == "tables",
        ),
        year=inputs.snapshot.year,
        notes=inputs.snapshot.notes,
        labels=inputs.snapshot.labels,
        compression=options.compression,
        form=options.form,
    )
    checks = {
        "spm_units_without_adult": count_spm_units_without_adult(inputs.snapshot, reindexed),
        "clones_in_unknown_blocks": int(np.count_nonzero(~blocks.known())),
        **empty_places(selection, blocks),
    }
    return AreaResult(
        request=request,
        status="completed",
        output=OutputFile(str(relative), written.sha256, written.size_bytes),
        period=inputs.snapshot.year,
        rows={entity: reindexed.n_rows(entity) for entity in reindexed.rows},
        source_rows={entity: inputs.snapshot.n_rows[entity] for entity in reindexed.rows},
        weights=weight_summary(selection, reindexed),
        columns=written.columns,
        excluded=inputs.snapshot.excluded,
        coverage=coverage(inputs, selection, blocks),
        checks=checks,
        fingerprint=provenance.fingerprint,
        versions=versions(inputs.snapshot),
        inputs=(InputFile("source dataset", inputs.snapshot.source_sha256, inputs.snapshot.source_bytes),),
        notes=inputs.snapshot.notes,
        validation=provenance.validation,
        issues=tuple(_issues(checks)),
        reflecting=inputs.snapshot.reflecting,
        at_large_code=_at_large_code(selection, options),
        takeup=UNSET if inputs.takeup.own is None else inputs.takeup.own,
    )


def _at_large_code(selection: CloneSelection, options: BuildOptions) -> AtLarge | UnsetType:
    if not at_large(selection.district).any():
        return UNSET
    return options.district_codes if isinstance(options.district_codes, str) else "as given"


def area_units(
    inputs: PreparedInputs, selection: CloneSelection, rows: Mapping[str, EntityRows], blocks: BlockRows
) -> AreaUnits:
    """The units of a file, for take-up."""
    return AreaUnits(
        household_ids=inputs.snapshot.household_id[selection.household],
        clones=selection.clone,
        state=(blocks.geoid // 10**13).astype(np.int32),
        county=blocks.county.astype(np.int32),
        rows=rows,
    )


def weight_summary(selection: CloneSelection, reindexed: Reindexed) -> WeightSummary:
    """Sums of the weights as written (float32), added in float64."""
    weight = selection.weight.astype(np.float32).astype(np.float64)
    total = float(weight.sum())
    nowhere = selection.district % 100 == 0
    return WeightSummary(
        households=total,
        persons=float((weight * reindexed.rows[PERSON].counts).sum()),
        effective_sample_size=float(total**2 / np.square(weight).sum()),
        largest_share=float(weight.max() / total),
        households_without_district=float(weight[nowhere].sum()) if nowhere.any() else UNSET,
    )


def coverage(inputs: PreparedInputs, selection: CloneSelection, blocks: BlockRows) -> dict[str, float]:
    """Share of household weight with a value, by geography field that can be empty."""
    weight, total = selection.weight, selection.weight.sum()
    present = {name: blocks.codes(name) > 0 for name in blocks.fields}
    codes, names = county_names(inputs.snapshot, blocks.county)
    present["county"] = (names != UNKNOWN_COUNTY)[codes]
    if blocks.known_digits is not None:
        present |= _known_places(selection, blocks)
    shares = {name: np.minimum(float(weight[rows].sum() / total), 1.0) for name, rows in present.items()}
    return {name: round(float(share), 6) for name, share in sorted(shares.items())}


def empty_places(selection: CloneSelection, blocks: BlockRows) -> dict[str, int]:
    """Households whose place is not known, by level that the dataset has: ``households_without_district``.

    There is no level where every place is a block.
    """
    if blocks.known_digits is None:
        return {}
    known = _known_places(selection, blocks) | {name: blocks.codes(name) > 0 for name in blocks.fields}
    return {f"households_without_{name}": int(np.count_nonzero(~rows)) for name, rows in sorted(known.items())}


def _known_places(selection: CloneSelection, blocks: BlockRows) -> dict[str, np.ndarray]:
    """Level → bool by household; the levels of a dataset's own places."""
    known = {
        name.partition("_")[0]: blocks.knows(width) for name, width in GEOID_COLUMNS.items() if name in blocks.columns
    }
    if "congressional_district_geoid" in blocks.columns:
        known["district"] = selection.district % 100 > 0
    return known


def count_spm_units_without_adult(snapshot: SourceSnapshot, reindexed: Reindexed) -> int:
    """SPM units of the file in which nobody is 18 or older; 0 when the source has no age."""
    age = next((column for column in snapshot.columns if column.variable == "age"), None)
    if age is None:
        return 0
    units, ages = snapshot.membership.person_unit["spm_unit"], snapshot.matrices[age.matrix][age.row]
    persons = reindexed.rows[PERSON].source_row
    if len(persons) < len(ages):  # a person of the source may stand in the file many times, or not at all
        units, ages = units[persons], ages[persons]
    adults = np.zeros(snapshot.n_rows["spm_unit"], dtype=bool)
    adults[units[ages >= ADULT_AGE]] = True
    return int((~adults[reindexed.rows["spm_unit"].source_row]).sum())


def versions(snapshot: SourceSnapshot) -> dict[str, str]:
    """Versions of everything that can change a byte of the file."""
    return {
        **snapshot.versions,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def _issues(checks: Mapping[str, int]) -> Collection[Issue]:
    without_adult = checks["spm_units_without_adult"]
    if not without_adult:
        return ()
    text = (
        f"{without_adult} SPM units have nobody of {ADULT_AGE} or more; the model's poverty variables fail on this file"
    )
    return (Issue("validate", text),)
