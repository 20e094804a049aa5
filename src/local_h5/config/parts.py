"""Which of the simulating processes provides an area's values.

A part has whole states, so that an area inside a state needs one part only. All parts have about the same number of
districts. Areas that are not inside one state belong to the first part.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from local_h5.areas import District
from local_h5.requests import FOLDERS, AreaBuildRequest


@dataclass(frozen=True, slots=True)
class Parts:
    """The states of a run, divided into parts.

    Attributes:
        n: number of parts; no more than there are states.
        home: ``<folder>/<area id>`` of a state or district → its part; no other area has one.
    """

    n: int
    home: Mapping[str, int]

    @classmethod
    def of(cls, districts: Iterable[District], n: int) -> Self:
        """Divide the states: the largest first, each to the part with the fewest districts."""
        districts = tuple(districts)
        sizes = Counter(district.state for district in districts)
        loads = [0] * max(1, min(n, len(sizes)))
        part_of = {}
        for state in sorted(sizes, key=lambda name: (-sizes[name], name)):
            part = part_of[state] = loads.index(min(loads))
            loads[part] += sizes[state]
        states = {f"{FOLDERS['state']}/{state}": part for state, part in part_of.items()}
        return cls(
            len(loads), states | {f"{FOLDERS['district']}/{item.name}": part_of[item.state] for item in districts}
        )

    def readers_of(self, request: AreaBuildRequest) -> tuple[int, ...]:
        """The parts that read an area's file: the one that simulates it, or compares it with its state."""
        own = self.own_of(request)
        # The first part compares what lies in several states with every state's file.
        return (0, own) if request.area_type == "state" and own else (own,)

    def own_of(self, request: AreaBuildRequest) -> int:
        """The part that simulates a state, or the households of another area that no state's file has."""
        return self.home.get(f"{FOLDERS[request.area_type]}/{request.area_id}", 0)

    def sources_of(self, key: str) -> tuple[int, ...]:
        """The parts that an area's values come from, by ``<folder>/<area id>``."""
        own = self.home.get(key)
        return tuple(range(self.n)) if own is None else (own,)
