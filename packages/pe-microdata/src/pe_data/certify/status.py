"""Check whether a release that was certified earlier is still reproducible.

For every pinned file: has it, or the collection that lists it, been revoked, and is its payload still
in the store or on a mirror? What could not be found out is said, and never counts as reproducible.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pe_data.certify.reading import read_release
from pe_data.certify.release import Pinned
from pe_data.errors import ObjectNotFoundError, OfflineError, StoreError, UncheckedRevocationError
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.revocations import Revocations

WORKERS = 8


class State(StrEnum):
    """The four answers, for one file and for the release."""

    REPRODUCIBLE = "reproducible"
    REVOKED = "unreproducible: licence revoked"
    MISSING = "unreproducible: payload missing"
    UNKNOWN = "cannot tell"

    @property
    def exit_code(self) -> int:
        """0 reproducible, 1 revoked, 2 cannot tell, 3 payload missing."""
        return {State.REPRODUCIBLE: 0, State.REVOKED: 1, State.UNKNOWN: 2, State.MISSING: 3}[self]


@dataclass(frozen=True, slots=True)
class FileStatus:
    """The answer for one file."""

    dataset: str
    uri: str
    sha256: str
    state: State
    reason: str
    """Empty for a reproducible one."""


@dataclass(frozen=True, slots=True)
class BundleStatus:
    """The answer for a release."""

    state: State
    files: tuple[FileStatus, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """State → files."""
        return {state.value: sum(one.state is state for one in self.files) for state in State}


def bundle_status(path: Path, options: Options) -> BundleStatus:
    """Check every pin of the data-release block in the file `path`. Raises as `read_release`."""
    pins = read_release(path).pins
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        asked = {pin.address.country: Revocations(pin.address, options, now=True) for pin in pins.values()}
        files = tuple(
            pool.map(lambda name: _status(name, pins[name], options, asked[pins[name].address.country]), sorted(pins))
        )
    return BundleStatus(overall(one.state for one in files), files)


def overall(states: Iterable[State]) -> State:
    """The worst: revoked, then missing, then cannot tell; reproducible only if all are."""
    found = set(states)
    for state in (State.REVOKED, State.MISSING, State.UNKNOWN):
        if state in found:
            return state
    return State.REPRODUCIBLE if found else State.UNKNOWN


def _status(name: str, pin: Pinned, options: Options, asked: Revocations) -> FileStatus:
    def answer(state: State, reason: str = "") -> FileStatus:
        return FileStatus(name, str(pin.address), pin.sha256, state, reason)

    try:
        revoked = asked.find(tuple(dict.fromkeys((pin.sha256, pin.nominated))), cached=False)
    except UncheckedRevocationError as error:
        return answer(State.UNKNOWN, str(error))
    if revoked is not None:
        state = State.REVOKED if revoked.checked else State.UNKNOWN
        return answer(state, str(revoked.error(pin.address)))
    problems = []
    missing = True
    try:
        stores = Places.of(pin.address, options).all()
    except OfflineError as error:
        return answer(State.UNKNOWN, str(error))
    for store in stores:
        try:
            size = store.head(pin.key).size
        except ObjectNotFoundError:
            problems.append(f"{store.url}: not there")
        except StoreError as error:
            problems.append(str(error))
            missing = False
        else:
            if size == pin.size_bytes:
                return answer(State.REPRODUCIBLE)
            problems.append(f"{store.url}: expected {pin.size_bytes} bytes, found {size}")
    return answer(State.MISSING if missing else State.UNKNOWN, "; ".join(problems))
