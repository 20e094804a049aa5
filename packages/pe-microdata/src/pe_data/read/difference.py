"""What a comparison found: the structure that is printed, and handed to programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pe_data.read.measure import Values
from pe_data.read.sides import Listed, Told


@dataclass(frozen=True, slots=True)
class Pair:
    """A value before and after; None where there is none."""

    before: Any
    after: Any

    @property
    def share(self) -> float | None:
        """By which share of itself a number grew; None if it was 0 or is none."""
        if not isinstance(self.before, int | float) or not isinstance(self.after, int | float) or not self.before:
            return None
        return float(self.after) / float(self.before) - 1


@dataclass(frozen=True, slots=True)
class Changed:
    """How one member differs. What is the same is left out, and so is what one of the two sides does not say."""

    name: str
    """Empty for a single file."""
    sha256: Pair
    size_bytes: Pair
    rows: Mapping[str, Pair] = field(default_factory=dict)
    """Entity → number of rows; None for an entity that is not there."""
    columns: Mapping[str, Pair] = field(default_factory=dict)
    """`entity.column` → dtype; None before for one that came, None after for one that went."""
    weighted: Mapping[str, Pair] = field(default_factory=dict)
    """Entity → sum of the weights of its rows."""
    effective_sample_size: Pair | None = None
    said: Mapping[str, Pair] = field(default_factory=dict)
    """What is said of it in words: licence, years, model, inputs, and what its collection says (area, title, …)."""
    values: Mapping[str, Values] | None = None
    """`entity.column` → how its values and its weighted total differ; None unless payloads were read."""

    @property
    def movement(self) -> float:
        """The largest share by which a number of it changed; infinite for one that was 0."""
        pairs = [self.size_bytes, *self.rows.values(), *self.weighted.values()]
        if self.effective_sample_size:
            pairs.append(self.effective_sample_size)
        if self.values:
            pairs += [Pair(one.before, one.after) for one in self.values.values()]
        return max(map(_movement, pairs))


def _movement(pair: Pair) -> float:
    if pair.before == pair.after or pair.before is None or pair.after is None:
        return 0.0
    return float("inf") if pair.share is None else abs(pair.share)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one side to the other."""

    before: Told
    after: Told
    added: tuple[Listed, ...]
    gone: tuple[Listed, ...]
    changed: tuple[Changed, ...]
    """Biggest movers first."""
    same: int
    """Members that do not differ."""
    deep: bool
    """Whether payloads were read."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.gone or self.changed)
