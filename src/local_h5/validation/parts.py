"""Which of the simulating processes provides an area's values.

A part takes whole states, so that an area inside a state needs one part only, and is about as large as the others by
number of districts. What lies in no single state belongs to the first part.
"""

from functools import cache

from local_h5.requests import FOLDERS, AreaBuildRequest
from local_h5.settings import Settings
from local_h5.us import STATE_POSTAL


def parts_of(request: AreaBuildRequest, settings: Settings) -> tuple[int, ...]:
    """The parts that read an area's file: the one that simulates it, or compares it with its state."""
    states = _states_by_part(tuple(d.state for d in settings.districts), settings.config["validation"]["processes"])
    home = home_state(request)
    if home is None:
        return (0,)
    own = next((part for part, members in enumerate(states) if home in members), 0)
    # The first part compares what lies in several states with every state's file.
    return tuple(sorted({0, own})) if request.area_type == "state" else (own,)


def own_part(request: AreaBuildRequest, settings: Settings) -> int:
    """The part that simulates what of an area no state has, or all of a state."""
    return parts_of(request, settings)[-1]


def sources_of(key: str, settings: Settings) -> tuple[int, ...]:
    """The parts that an area's values come from, by ``<folder>/<area id>``."""
    request = _by_key(settings.requests)[key]
    if home_state(request) is None:
        return tuple(range(settings.config["validation"]["processes"]))
    return (own_part(request, settings),)


def home_state(request: AreaBuildRequest) -> str | None:
    """Postal code of the state that an area is a state or a district of; None for any other area."""
    if request.area_type == "state":
        return request.area_id
    if request.area_type == "district":
        return STATE_POSTAL[int(request.filters[0].values[0]) // 100]
    return None


@cache
def _by_key(requests: tuple[AreaBuildRequest, ...]) -> dict[str, AreaBuildRequest]:
    return {f"{FOLDERS[request.area_type]}/{request.area_id}": request for request in requests}


@cache
def _states_by_part(states: tuple[str, ...], n_parts: int) -> tuple[frozenset[str], ...]:
    sizes = {state: states.count(state) for state in states}
    loads = [0] * n_parts
    members: list[set[str]] = [set() for _ in range(n_parts)]
    for state in sorted(sizes, key=lambda name: (-sizes[name], name)):
        lightest = loads.index(min(loads))
        members[lightest].add(state)
        loads[lightest] += sizes[state]
    return tuple(map(frozenset, members))
