"""Frames that estimate: entity → data frame, with weights, links and weighted statistics (extra `frames`).

    frames = pe_data.open("pe-data://us/local_areas/districts/NC-01@latest")
    print(frames.mean("age", by="state_fips"))
    print(frames.median("employment_income_before_lsr", of="household"))

A row is a sampled unit that stands for as many as its weight says. Everything that is estimated here takes the weights,
says how many rows and how large an effective sample it rests on, and warns where that is small.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from pe_data.describe.columns import PERSON
from pe_data.documents.codes import label_of
from pe_data.documents.collection import demonstrations
from pe_data.documents.manifest import Entity
from pe_data.errors import InputError
from pe_data.read.estimates import Estimates, Sample
from pe_data.read.links import Linked, weighted_unit
from pe_data.read.together import How, numbers
from pe_data.read.weighted import Rows, effective_size, mean, quantiles, total

Missing = Literal["refuse", "drop"]
Column: TypeAlias = str | pd.Series
By: TypeAlias = Column | Sequence[Column] | None
"""One column, or several; each by name or as a series with a value per row of the unit."""


class Frames(Linked):
    """Entity → data frame, as any mapping; and what can be estimated from them.

    Columns may be added, and rows left out: ids and links are looked up when they are needed. `unit`, below, is an
    entity; a value for each of its rows is a column by name or a series. Columns of another entity that each row lies
    in (a person's household) are fetched through the links.

    Attributes:
        entities: What the manifest says of ids, links and weights.
        notes: What the publication says that a reader has to know.
        labels: Name of a column → what it is, for people, where that is known.
        what: The address, for messages.
    """

    def __init__(
        self,
        frames: Mapping[str, pd.DataFrame],
        entities: Mapping[str, Entity],
        *,
        notes: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
        what: str = "frames",
    ) -> None:
        super().__init__(frames, entities, what=what)
        self.notes, self.labels = notes, dict(labels or {})

    def __repr__(self) -> str:
        lines = [self.what]
        for name, frame in self.items():
            unit = weighted_unit(self.entities, name) if name in self.entities else None
            weighed = f"weight of {unit}" if unit else "no weight"
            lines.append(f"  {name}: {len(frame):,} rows × {frame.shape[1]} columns, {weighed}")
        return "\n".join((*lines, *(f"  {note}" for note in self.notes)))

    # --- statistics -------------------------------------------------------------------------------

    @property
    def n_eff(self) -> float:
        """Kish's effective sample size of the whole, in rows of the first entity that has a weight of its own."""
        unit = next((name for name, entity in self.entities.items() if entity.weight and name in self), PERSON)
        return effective_size(self.weight(unit).to_numpy())

    def mean(
        self,
        column: Column,
        by: By = None,
        *,
        of: str | None = None,
        how: How = "sum",
        where: Column | None = None,
        missing: Missing = "refuse",
    ) -> Estimates:
        """The weighted mean, Σ w·x / Σ w; of true and false the share that is true.

        Args:
            column: What to estimate: numbers, or true and false.
            by: Groups: one column or several. Groups without a row do not appear.
            of: The entity whose units count; default the one that has the column. With `of="household"` a column of
                persons is first brought to households.
            how: How that is done, see `to`.
            where: Only rows for which this is true.
            missing: What to do with rows without a value or group: refuse, or leave them out and say so.

        Returns:
            Estimates; NaN where the weights of a group sum to 0.

        Raises:
            InputError: as `to` and `weight`; text or missing values; a unit that no column tells.

        Warns:
            SmallSampleWarning: an effective sample of less than 100.
        """
        sample = self._numbers(column, by, of, how, where, missing)
        return sample.estimate("mean", ("mean",), lambda x, w: (mean(x, w),))

    def total(
        self,
        column: Column,
        by: By = None,
        *,
        of: str | None = None,
        how: How = "sum",
        where: Column | None = None,
        missing: Missing = "refuse",
    ) -> Estimates:
        """The weighted total, Σ w·x, 0 where the weights sum to 0; arguments as for `mean`."""
        sample = self._numbers(column, by, of, how, where, missing)
        return sample.estimate("total", ("total",), lambda x, w: (total(x, w),))

    def median(
        self,
        column: Column,
        by: By = None,
        *,
        of: str | None = None,
        how: How = "sum",
        where: Column | None = None,
        missing: Missing = "refuse",
    ) -> Estimates:
        """The weighted median: the quantile 0.5; arguments as for `mean`."""
        half = np.array([0.5])
        sample = self._numbers(column, by, of, how, where, missing)
        return sample.estimate("median", ("median",), lambda x, w: quantiles(x, w, half))

    def quantile(
        self,
        column: Column,
        q: float | Iterable[float],
        by: By = None,
        *,
        of: str | None = None,
        how: How = "sum",
        where: Column | None = None,
        missing: Missing = "refuse",
    ) -> Estimates:
        """Weighted quantiles, a column `q0.1` for each: the smallest value that reaches the share of all weights.

        The definition, with its source, stands at `pe_data.read.weighted.quantiles`. Arguments as for `mean`.

        Args:
            q: One share, or several, between 0 and 1.
        """
        at = np.array([q] if np.isscalar(q) else list(q), np.float64)  # type: ignore[arg-type]
        names = tuple(f"q{share:.15g}" for share in at)
        if not len(at) or not ((at >= 0) & (at <= 1)).all() or len(set(names)) < len(names):
            raise InputError(f"{self.what}: q: expected numbers between 0 and 1, each once, found {q!r}")
        sample = self._numbers(column, by, of, how, where, missing)
        return sample.estimate("quantiles", names, lambda x, w: quantiles(x, w, at))

    def count(self, unit: str = PERSON, by: By = None, *, where: Column | None = None) -> Estimates:
        """How many units there are: the sum of their weights. Arguments as for `mean`."""
        ones = pd.Series(1.0, self._frame(unit).index, name=unit)
        sample = self._sample(ones, by, unit, where, "refuse")
        return sample.estimate("count", ("count",), lambda x, w: (total(x, w),))

    def share(
        self,
        column: Column,
        by: By = None,
        *,
        of: str | None = None,
        where: Column | None = None,
        missing: Missing = "refuse",
    ) -> Estimates:
        """For each value of a column the share of all units, or of those of a group, that have it.

        Text and numbers alike. Shares of a group sum to 1; NaN where its weights sum to 0. A value that a group does
        not have does not appear. `rows` and `n_eff` are those of the whole group, which the share is of. Arguments as
        for `mean`.
        """
        unit = of or self._unit_of(column)
        sample = self._sample(self._values(column, unit, None), by, unit, where, missing)
        if sample.values.name in sample.names:
            raise InputError(
                f"{self.what}: by: expected other columns than {sample.values.name}, whose shares these are"
            )

        def shares(chosen: Rows) -> Iterator[tuple[tuple[Any, ...], tuple[float]]]:
            weights = sample.weights[chosen]
            codes, kinds = pd.factorize(sample.values.iloc[chosen], sort=True)
            whole = weights.sum()
            for kind, part in zip(kinds, np.bincount(codes, weights, len(kinds)), strict=True):
                yield (kind,), (part / whole if whole else np.nan,)

        return sample.estimates("share", ("share",), shares, [str(sample.values.name)], depth=3)

    # --- how --------------------------------------------------------------------------------------

    def _numbers(
        self, column: Column, by: By, of: str | None, how: How, where: Column | None, missing: Missing
    ) -> Sample:
        unit = of or self._unit_of(column)
        values = self._values(column, unit, how)
        numbers(values, f"{self.what}: {values.name}")  # before missing ones, so that text is told as text
        return self._sample(values, by, unit, where, missing)

    def _sample(self, values: pd.Series, by: By, unit: str, where: Column | None, missing: Missing) -> "Sample":
        """The rows that count, with their weights."""
        if missing not in get_args(Missing):
            raise InputError(f"{self.what}: missing: expected one of {', '.join(get_args(Missing))}, found {missing!r}")
        listed: Sequence[Column] = [] if by is None else list(by) if isinstance(by, list | tuple) else [by]  # type: ignore[list-item]
        keys = [self._values(one, unit, None) for one in listed]
        names = [str(key.name) for key in keys]
        if len(set(names)) < len(names):
            raise InputError(f"{self.what}: by: expected columns of different names, found {', '.join(names)}")
        chosen = np.ones(len(self[unit]), bool)
        if where is not None:
            chosen = self._values(where, unit, None).to_numpy()
            if chosen.dtype != bool:
                raise InputError(f"{self.what}: where: expected true or false for each row, found {chosen.dtype}")
        gone = chosen & np.logical_or.reduce([one.isna().to_numpy() for one in (values, *keys)])
        notes = ["Only the rows that were chosen."] if where is not None else []
        if gone.any():
            found = f"{gone.sum():,} of {chosen.sum():,} rows without one"
            if missing == "refuse":
                raise InputError(
                    f"{self.what}: {' or '.join(map(str, (values.name, *names)))}: expected a value in each row, found "
                    f"{found}. Say missing='drop' to leave them out"
                )
            notes.append(f"Left out: {found}.")
        rows = np.flatnonzero(chosen & ~gone)
        weights = self.weight(unit).to_numpy()
        holder = weighted_unit(self.entities, unit)
        assert holder is not None, "it has a weight"
        clusters = self._rows(unit, holder)
        assert clusters is not None, "it has a weight"
        held = self.weight(holder).to_numpy()
        columns = [key.iloc[rows].reset_index(drop=True) for key in keys]
        return Sample(
            unit,
            holder,
            values.iloc[rows],
            label_of(str(values.name), self.labels),
            columns,
            names,
            weights[rows],
            clusters[rows],
            held,
            (*notes, *demonstrations(self.notes)),
        )

    def _values(self, column: Column, unit: str, how: How | None) -> pd.Series:
        """One value per row of the unit. Without `how` from its own columns and those of what it lies in alone."""
        frame = self._frame(unit)
        if not isinstance(column, str):
            self._check_series(column)
            if not frame.index.equals(column.index):
                raise InputError(
                    f"{self.what}: expected a series with a value for each of the {len(frame):,} rows of {unit}, found "
                    f"one of {len(column):,} with another index"
                )
            return column if column.name is not None else column.rename("given")
        if column in frame:
            return frame[column]
        home = self._home(column)
        if how is None and not self._pairs(home, unit)[2]:
            raise InputError(
                f"{self.what}: {column}: expected one value for each row of {unit}, found a column of {home}, of "
                f"which it has several. Say how: frames.to({unit!r}, {column!r}, how='max'), or another"
            )
        return self.to(unit, column, how or "first", of=home)

    def _unit_of(self, column: Column) -> str:
        if isinstance(column, str):
            return self._home(column)
        self._check_series(column)
        units = [name for name, frame in self.items() if frame.index.equals(column.index)]
        if len(units) != 1:
            fits = f"those of {' and '.join(units)}" if units else "those of none"
            raise InputError(f"{self.what}: expected a series with the rows of one entity, found {fits}. Say of=")
        return units[0]

    def _check_series(self, column: object) -> None:
        if not isinstance(column, pd.Series):
            raise InputError(
                f"{self.what}: expected the name of a column or a pandas series, found {type(column).__name__}"
            )
