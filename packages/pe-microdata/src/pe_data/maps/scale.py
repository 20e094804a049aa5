"""From values to a few colours and a legend with numbers.

The colours are those of ColorBrewer that people with any colour vision tell apart: blue to orange with a light middle
for values with a sign, light to dark for others. In the dark the middle, or the low end, is dark.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DIVERGING = ("#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f4f4f2", "#fee0b6", "#fdb863", "#e08214", "#b35806")
DIVERGING_DARK = ("#a9d8ff", "#5fabe0", "#3f7bab", "#30506c", "#2c3038", "#5c4527", "#94652a", "#d68f38", "#ffc678")
SEQUENTIAL = ("#ffffcc", "#c7e9b4", "#7fcdbb", "#41b6c4", "#2c7fb8", "#253494")
SEQUENTIAL_DARK = ("#2a3a7c", "#2f6ea5", "#38a3b3", "#7fcdbb", "#c7e9b4", "#ffffcc")

_STEPS = (1.0, 2.0, 5.0, 10.0)
"""Where one class of a signed scale ends and the next begins, in units of the innermost."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Classes of values.

    Attributes:
        signed: whether colours go both ways from zero.
        bounds: between the classes, rising; one less than there are classes. A value on a bound is in the class that is
            further from zero, or the higher one.
    """

    signed: bool
    bounds: tuple[float, ...]

    def index(self, value: float) -> int:
        """The class of a value."""
        if self.signed and value < 0:
            return len(self.bounds) - bisect_right([-bound for bound in reversed(self.bounds)], -value)
        return bisect_right(self.bounds, value)

    @property
    def names(self) -> Sequence[str]:
        """Of the classes, in style sheets."""
        return _NAMES[self.signed][: len(self.bounds) + 1]


_NAMES = {True: [f"d{n}" for n in range(len(DIVERGING))], False: [f"s{n}" for n in range(len(SEQUENTIAL))]}


def palette(*, dark: bool = False) -> dict[str, str]:
    """Name in style sheets → colour, of every class that a scale may have."""
    signed, others = (DIVERGING_DARK, SEQUENTIAL_DARK) if dark else (DIVERGING, SEQUENTIAL)
    return dict(zip(_NAMES[True], signed, strict=True)) | dict(zip(_NAMES[False], others, strict=True))


def scale_of(values: Iterable[float], *, signed: bool | None = None, least: float = 0.0) -> Scale:
    """Classes with round bounds that tell the given values apart.

    Args:
        values: finite.
        signed: whether they have a sign that means something; by default whether one of them is negative.
        least: for a signed scale: no value closer to zero than this gets a colour, so that noise has none.

    Returns:
        For values with a sign nine classes, the same on both sides of zero, whose widths grow outwards; for others up
        to six of equal width. The outermost take what lies beyond.
    """
    ordered = sorted(values)
    if signed is None:
        signed = bool(ordered) and ordered[0] < 0
    if signed:
        sizes = sorted(map(abs, ordered))
        far = sizes[math.ceil(0.95 * len(sizes)) - 1] if sizes else 0.0
        unit = max(_round_up(far / _STEPS[-1]) if far else 1.0, _round_up(least) if least else 0.0)
        outwards = [unit * step for step in _STEPS]
        return Scale(True, (*(-bound for bound in reversed(outwards)), *outwards))
    if not ordered or ordered[0] == ordered[-1]:
        return Scale(False, ())
    last = len(ordered) - 1
    low, high = ordered[round(0.02 * last)], ordered[round(0.98 * last)]
    if low == high:
        low, high = ordered[0], ordered[-1]
    step = _round_up((high - low) / len(SEQUENTIAL))
    first = math.floor(low / step) + 1
    bounds = (_clean((first + number) * step) for number in range(len(SEQUENTIAL) - 1))
    return Scale(False, tuple(bound for bound in bounds if bound <= ordered[-1]))


def _round_up(size: float) -> float:
    """The next of 1, 2, 5, 10, … times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return _clean(next(power * head for head in (1.0, 2.0, 5.0, 10.0) if power * head >= size * (1 - 1e-9)))


def _clean(value: float) -> float:
    """Without what binary fractions leave: 0.30000000000000004 → 0.3."""
    return float(f"{value:.12g}")
