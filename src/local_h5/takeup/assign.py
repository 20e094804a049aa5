"""Take-up of the units of one file.

Every unit has a threshold: infinity for a reported recipient, zero for the ineligible, the adjusted rate for the others
of a programme with reports, the plain rate elsewhere. A unit takes up when its draw is below its threshold; as draws
lie in [0, 1), this is ``E & (u < r)`` without reports and ``R | (E' & ~R & (u < adjusted))`` with them.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from local_h5.inputs.chunks import chunks
from local_h5.inputs.membership import EntityRows
from local_h5.takeup.anchors import file_adjusted_rates
from local_h5.takeup.draws import KeySuffix, key_suffix, suffix_seeds, uniforms
from local_h5.takeup.rates import StateRates
from local_h5.takeup.table import ProgrammeTable, Takeup


class AreaUnits(Struct, frozen=True):
    """The household clones of a file, in file order, and their units."""

    household_ids: NDArray[np.integer]
    """Integer (n,): id of the source household (not its row)."""
    clones: NDArray[np.integer]
    """Integer (n,): clone index."""
    state: NDArray[np.integer]
    """Integer (n,): state FIPS of the block."""
    county: NDArray[np.integer]
    """Integer (n,): county FIPS of the block."""
    rows: Mapping[str, EntityRows]
    """Entity → its rows."""

    def parts(self) -> Iterator["AreaUnits"]:
        """Chunks of household clones with their units, in file order."""
        done = dict.fromkeys(self.rows, 0)
        for part in chunks(self.clones.size):
            rows = {}
            for entity, all_rows in self.rows.items():
                counts = all_rows.counts[part]
                place = slice(done[entity], done[entity] + int(counts.sum()))
                position = all_rows.clone_position[place] - part.start
                rows[entity] = EntityRows(all_rows.source_row[place], position, counts)
                done[entity] = place.stop
            yield AreaUnits(self.household_ids[part], self.clones[part], self.state[part], self.county[part], rows)


def thresholds(table: ProgrammeTable, area: AreaUnits) -> NDArray[np.float64]:
    """Threshold of every unit of one programme.

    Args:
        table: the programme.
        area: the file's household clones. Values of a clone, its state or county are looked up once for all its units.

    Returns:
        float64 (m,), in the order of the entity's rows.

    Raises:
        InputError: a state has no rate, or a county or clone was not prepared.
    """
    rows = area.rows[table.entity]
    unit, owner = rows.source_row, rows.clone_position
    eligible = None
    if table.eligibility is not None:
        eligible = table.eligibility.at(table.eligibility.county_rows(area.county)[owner], unit)
    reported = None if table.reported is None else table.reported[unit]
    rate: NDArray[np.floating]
    if reported is not None and table.adjusted is not None:
        rate = table.adjusted.of(table.variable, area.clones, area.state)[owner]
    elif reported is not None and not isinstance(table.rate, np.ndarray):
        everybody = np.ones(unit.shape, dtype=np.bool_)
        rate = file_adjusted_rates(
            table.variable,
            table.rate,
            state=area.state[owner],
            eligible=everybody if eligible is None else eligible,
            reported=reported,
        )
    elif isinstance(table.rate, StateRates):
        rate = table.rate.of(table.variable, area.state)[owner]
    elif isinstance(table.rate, np.ndarray):
        rate = table.rate[unit]
    else:
        rate = np.full(unit.shape, table.rate)
    # float32 rates become float64 here, exactly as in a comparison with float64 draws
    out = rate.astype(np.float64, copy=False)
    if eligible is not None:
        np.copyto(out, 0.0, where=~eligible)
    if reported is not None:
        np.copyto(out, np.inf, where=reported)
    return out


def take_up(
    takeup: Takeup, area: AreaUnits, takeup_filter: Collection[str] | None = None
) -> dict[str, NDArray[np.bool_]]:
    """All take-up variables of a file.

    Args:
        takeup: the prepared table.
        area: the file's household clones.
        takeup_filter: variables to draw, the others are all true; None draws all.

    Returns:
        variable → bool (m,), in the order of the entity's rows.

    Raises:
        InputError: an unknown name in the filter, a state without a rate, or a county or clone that was not prepared.
    """
    drawn = takeup.drawn(takeup_filter)
    found: dict[str, list[NDArray[np.bool_]]] = {table.variable: [] for table in takeup.programmes}
    # Rates adjusted over the units of the file need the whole of it.
    for part in [area] if takeup.scope == "area" else area.parts():
        suffix = key_suffix(part.household_ids, part.clones)
        for table in takeup.programmes:
            rows = part.rows[table.entity]
            if table.variable not in drawn:
                column = np.ones(rows.source_row.shape, dtype=np.bool_)
            elif table.sole_rate is not None:
                column = uniforms(suffix_seeds(table.variable, suffix), rows.counts) < table.sole_rate
            else:
                column = _draw(table.variable, suffix, rows, thresholds(table, part))
            found[table.variable].append(column)
    nothing = np.empty(0, dtype=np.bool_)
    return {variable: np.concatenate([nothing, *columns]) for variable, columns in found.items()}


def _draw(variable: str, suffix: KeySuffix, rows: EntityRows, limit: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each unit's draw lies below its limit: bool (m,).

    Draws are in [0, 1), so a limit outside needs no draw. If most households have only such limits, draws are made for
    the others alone.
    """
    needed = np.zeros(rows.counts.shape, dtype=np.bool_)
    needed[rows.clone_position[(limit > 0) & (limit < 1)]] = True
    if 2 * np.count_nonzero(needed) > needed.size:
        return uniforms(suffix_seeds(variable, suffix), rows.counts) < limit
    result: NDArray[np.bool_] = limit >= 1
    part = KeySuffix(suffix.factor[needed], suffix.addend[needed])
    units = needed[rows.clone_position]
    result[units] = uniforms(suffix_seeds(variable, part), rows.counts[needed]) < limit[units]
    return result


def inputs_digest(takeup: Takeup, area: AreaUnits, takeup_filter: Collection[str] | None = None) -> str:
    """sha256 over everything that decides a file's take-up, except its household ids and clone indices.

    For a single rate of all units the digest has the rate; else it has the thresholds of the area's units, so that
    changes for other areas do not affect this one.

    Returns:
        64 hexadecimal digits.
    """
    drawn = takeup.drawn(takeup_filter)
    digest = hashlib.sha256()
    for table in takeup.programmes:
        digest.update(f"{table.variable}\0{table.entity}\0".encode("ascii"))
        if table.variable not in drawn:
            continue
        if table.sole_rate is not None:
            digest.update(f"{table.sole_rate.hex()}\0".encode("ascii"))
        else:
            digest.update(thresholds(table, area).astype("<f8", copy=False).view(np.uint8).data)
    return digest.hexdigest()
