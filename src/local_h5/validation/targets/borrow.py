"""Take values from the states' files: find the households that a state has too, and put their values together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from local_h5.errors import ResultError
from local_h5.inputs.membership import HOUSEHOLD
from local_h5.validation.targets.loaded_area import AreaFile, equal_households
from local_h5.validation.targets.values import Values

LoadState = Callable[[int], AreaFile | None]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Where each household of a file gets its values from.

    Attributes:
        from_state: state FIPS → (households of the file, households of the state's file), rows ascending, in pairs.
        own: households that no state's file has; bool (n_households,).
    """

    from_state: Mapping[int, tuple[np.ndarray, np.ndarray]]
    own: np.ndarray


def borrow(area: AreaFile, load_state: LoadState) -> Borrowed:
    """Find an area's households in the states' files by id, and compare them in every column.

    Args:
        area: the area's file.
        load_state: a state's file by FIPS code; None when there is none.
    """
    state_of = area.values("state_fips")
    own = np.ones(area.n_rows[HOUSEHOLD], dtype=bool)
    pairs = {}
    for fips in np.unique(state_of).tolist():
        state = load_state(fips)
        if state is None:
            continue
        in_area = (state_of == fips) & np.isin(area.ids[HOUSEHOLD], state.ids[HOUSEHOLD])
        in_state = np.isin(state.ids[HOUSEHOLD], area.ids[HOUSEHOLD][in_area])
        equal = equal_households(
            area if in_area.all() else area.take(in_area), state if in_state.all() else state.take(in_state)
        )
        here, there = np.flatnonzero(in_area)[equal], np.flatnonzero(in_state)[equal]
        pairs[fips] = here, there
        own[here] = False
    return Borrowed(pairs, own)


def assemble(
    area: AreaFile,
    borrowed: Borrowed,
    states: Mapping[int, tuple[AreaFile, Values]],
    own: Values | None,
) -> dict[str, tuple[str, np.ndarray]]:
    """Values of every household of an area.

    Args:
        area: its file.
        borrowed: of :func:`borrow`.
        states: the files and values of the states that are borrowed from.
        own: values of the households that no state's file has.

    Returns:
        variable → (entity, values by row of the entity).

    Raises:
        ResultError: values of another content than the file has.
    """
    sources = [(pair[0], *states[fips], pair[1]) for fips, pair in borrowed.from_state.items() if len(pair[0])]
    rest = np.flatnonzero(borrowed.own)
    if len(rest):
        if own is None or not np.array_equal(own.households, rest):
            raise ResultError(
                f"validation values: expected values of the {len(rest)} households that no state has, found "
                f"{'none' if own is None else f'values of {len(own.households)} others'}. Run the simulation of "
                "the targets again."
            )
        sources.append((rest, area.take(borrowed.own), own, np.arange(len(rest))))
    owner = {entity: area.household_of(entity) for entity in area.entities}
    result = {}
    for name, (entity, _) in sources[0][2].of.items():
        parts = [(here, file, values.of[name][1], there) for here, file, values, there in sources]
        whole = np.zeros(area.n_rows[entity], np.result_type(*(array.dtype for _, _, array, _ in parts)))
        for here, file, array, there in parts:
            whole[_mask(area, here)[owner[entity]]] = array[_mask(file, there)[file.household_of(entity)]]
        result[name] = entity, whole
    return result


def _mask(file: AreaFile, households: np.ndarray) -> np.ndarray:
    mask = np.zeros(file.n_rows[HOUSEHOLD], dtype=bool)
    mask[households] = True
    return mask
