"""Weighted sums of what a file holds, and how they differ from those of another one (extra `frames`)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pe_data.documents.manifest import Manifest

if TYPE_CHECKING:
    import pandas as pd

    Frames = Mapping[str, "pd.DataFrame"]
    Weights = Mapping[str, "pd.Series[float]"]


@dataclass(frozen=True, slots=True)
class Weighted:
    """Sums of the weights of one file."""

    totals: Mapping[str, float]
    """Entity → sum of the weights of its rows; of an entity without a weight, those of the unit that they are in."""
    effective_sample_size: float | None
    """Kish's (Σw)² / Σw², in rows of the first entity that has a weight of its own; None without any."""


@dataclass(frozen=True, slots=True)
class Values:
    """How one column of a file differs between two versions."""

    changed: bool
    """Whether a value differs; False if only weights do."""
    before: float | None
    """Weighted total; None for what is no number, is not finite, or has no weight."""
    after: float | None


def weigh(frames: "Frames", manifest: Manifest) -> "tuple[Weighted, Weights]":
    """The weighted sums of a file, and entity → weight of each row.

    Args:
        frames: Entity → data frame, with ids, links and weights.
        manifest: What is in the file.
    """
    import numpy as np

    from pe_data.read.links import Linked
    from pe_data.read.weighted import effective_size

    linked = Linked(frames, manifest.entities)
    weights = {name: row for name in manifest.entities if (row := linked.raw_weight(name)) is not None}
    totals = {entity: total for entity, row in weights.items() if (total := _finite(row.sum(skipna=False))) is not None}
    own = next((weights[name] for name, entity in manifest.entities.items() if entity.weight and name in weights), None)
    usable = own is not None and _finite(own.sum(skipna=False)) is not None
    size = effective_size(np.asarray(own, np.float64)) if own is not None and usable else 0.0
    return Weighted(totals, size or None), weights


def compare(
    before: "tuple[Frames, Weights]", after: "tuple[Frames, Weights]", manifests: tuple[Manifest, Manifest]
) -> dict[str, Values]:
    """`entity.column` → how it differs, for columns of both files whose values or weighted totals do."""
    found: dict[str, Values] = {}
    for entity in sorted(before[0].keys() & after[0].keys()):
        frames = before[0][entity], after[0][entity]
        roles = {role for one in manifests if entity in one.entities for role in one.entities[entity].roles}
        for column in frames[0].columns.intersection(frames[1].columns):
            changed = not _same(frames[0][column], frames[1][column])
            sums: list[float | None] = [None, None]
            if column not in roles:
                weights = before[1].get(entity), after[1].get(entity)
                sums = [_total(frame[column], weight) for frame, weight in zip(frames, weights, strict=True)]
            if changed or sums[0] != sums[1]:
                found[f"{entity}.{column}"] = Values(changed, sums[0], sums[1])
    return found


def _same(before: "pd.Series[Any]", after: "pd.Series[Any]") -> bool:
    return before.dtype == after.dtype and before.equals(after)


def _total(values: "pd.Series[Any]", weights: "pd.Series[float] | None") -> float | None:
    if weights is None or values.dtype.kind not in "biuf":
        return None
    return _finite((values.astype("float64") * weights).sum(skipna=False))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
