"""What was estimated, and the rows that it rests on (extra `frames`)."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pe_data.errors import InputError, SmallSampleWarning
from pe_data.read.together import numbers
from pe_data.read.weighted import SMALL, Floats, Rows, effective_size

NO_MARGINS = "No replicate weights are in the data, so no margins of error can be given."


@dataclass(frozen=True, eq=False)
class Estimates:
    """What was estimated, one row per group, and what it rests on. `print` shows all of it.

    Attributes:
        what: In words.
        table: A row per group, named by its index. Columns: the statistics; `rows`, how many rows of the sample there
            are with a weight; `n_eff`, Kish's effective sample size of the units that have the weight (households).
        unit: The entity whose rows `n_eff` counts.
        notes: What a reader has to know.
    """

    what: str
    table: pd.DataFrame
    unit: str
    notes: tuple[str, ...] = ()

    def __float__(self) -> float:
        """The number, if it is one. Raises InputError."""
        if self.table.shape != (1, 3):
            raise InputError(
                f"{self.what}: expected one number, found {len(self.table)} groups with "
                f"{', '.join(map(str, self.table.columns[:-2]))}. Take them from `.table`"
            )
        return float(self.table.to_numpy()[0, 0])

    def items(self) -> Iterator[tuple[Any, float]]:
        """Group and number, as of a mapping: what `pe_data.map` takes of estimates by area. Raises InputError."""
        if self.table.shape[1] != 3:
            found = ", ".join(map(str, self.table.columns[:-2]))
            raise InputError(
                f"{self.what}: expected one number for each group, found {found}. Take one column of `.table`"
            )
        return iter(self.table.iloc[:, 0].items())

    @property
    def n_eff(self) -> float | pd.Series:
        """Kish's effective sample size; one for each group if there are several."""
        return float(self.table["n_eff"].iloc[0]) if len(self.table) == 1 else self.table["n_eff"]

    def __format__(self, how: str) -> str:
        return format(float(self), how) if how else str(self)

    def __str__(self) -> str:
        shown = self.table.to_string(max_rows=30, float_format=_short, show_dimensions=len(self.table) > 30)
        return "\n".join((self.what, shown, *self.remarks))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        lines = "<br>".join(map(escape, self.remarks))
        return f"<p>{escape(self.what)}</p>{self.table.to_html(max_rows=30, float_format=_short)}<p>{lines}</p>"

    @property
    def remarks(self) -> tuple[str, ...]:
        """The lines below the table."""
        return (f"n_eff: effective sample size (Kish), in rows of {self.unit}.", NO_MARGINS, *self.notes)


Statistic: TypeAlias = Callable[[Floats, Floats], Iterable[float]]
OfGroup: TypeAlias = Callable[[Rows], Iterable[tuple[tuple[Any, ...], Iterable[float]]]]
"""From the rows of a group, its rows of the table: further labels, and numbers."""


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows that an estimate takes."""

    unit: str
    holder: str
    """The entity that has the weight."""
    values: pd.Series
    label: str | None
    """What the values are, for people."""
    keys: list[pd.Series]
    names: list[str]
    """Of the columns that make the groups."""
    weights: Floats
    clusters: Rows
    """For each row the row of the holder."""
    held: Floats
    """The weights of the holder."""
    notes: tuple[str, ...]

    def groups(self) -> Iterator[tuple[tuple[Any, ...], Rows]]:
        """Label and rows of each group, in order of the labels; one without a label if there are no groups."""
        if not self.keys:
            yield (), np.arange(len(self.values))
            return
        grouped = pd.DataFrame(dict(zip(self.names, self.keys, strict=True))).groupby(self.names, observed=True)
        codes = grouped.ngroup().to_numpy()
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes))[:-1]
        labels = grouped.size().index
        for label, rows in zip(labels, np.split(order, ends), strict=False):
            yield (label if len(self.names) > 1 else (label,)), rows

    def size(self, rows: Rows) -> tuple[int, float]:
        """How many of the rows have a weight, and the effective sample of the holders that have one of them.

        Persons of one household have its weight together: they are one draw, not several.
        """
        held = self.held[np.unique(self.clusters[rows])]
        return int((self.weights[rows] > 0).sum()), effective_size(held)

    def estimate(self, verb: str, names: tuple[str, ...], statistic: Statistic) -> Estimates:
        """What `statistic` makes of values and weights of each group; warns in the name of the caller's caller."""
        data = numbers(self.values, verb).astype(np.float64)

        def of_group(chosen: Rows) -> Iterator[tuple[tuple[()], Iterable[float]]]:
            yield (), statistic(data[chosen], self.weights[chosen])

        return self.estimates(verb, names, of_group, depth=4)

    def estimates(
        self, verb: str, statistics: tuple[str, ...], of_group: OfGroup, kinds: Sequence[str] = (), *, depth: int
    ) -> Estimates:
        """The table and its words. Warns of small samples, in the name of the caller `depth` calls above.

        Args:
            verb: What is done.
            statistics: Names of the numbers.
            kinds: Names of the further labels.
        """
        names = [*self.names, *kinds]
        rows: list[tuple[float, ...]] = []
        labels: list[tuple[Any, ...]] = []
        for group, chosen in self.groups():
            size = self.size(chosen)
            for kind, values in of_group(chosen):
                rows.append((*values, *size))
                labels.append((*group, *kind))
        index: Any = pd.Index(["all"])
        if len(names) == 1:
            index = pd.Index([label for (label,) in labels], name=names[0])
        elif names:
            index = pd.MultiIndex.from_tuples(labels, names=list(names))
        content = np.array(rows, np.float64).reshape(-1, len(statistics) + 2)
        table = pd.DataFrame(content, index, [*statistics, "rows", "n_eff"]).astype({"rows": np.int64})
        column = str(self.values.name)
        label = f" ({self.label})" if self.label else ""
        what = f"{verb} of {column}{label}, per {self.unit}" if column != self.unit else f"{verb} of {self.unit}"
        small = table["n_eff"] < SMALL
        if small.any():
            found = f"{table['n_eff'].min():.1f}"
            if names:
                found = f"less in {small.sum():,} of {len(table):,} rows of the table, the least {found}"
            warnings.warn(
                f"{what}: expected an effective sample of {SMALL} or more, found {found}. Take larger groups or areas",
                SmallSampleWarning,
                stacklevel=depth,
            )
        return Estimates(what, table, self.holder, self.notes)


def _short(number: float) -> str:
    """For people: four digits, or whole numbers with commas."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"
