"""Check whether our data is out of date: current, stale, or cannot tell.

"Ours" is a pinned address, or the version of a channel that this machine used last. It is stale
if the channel has moved to other bytes since, if the artifact was built with another version of the
model than the installed one, or if the pointer has expired. What cannot be found out is said, and
never counts as current.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata

from pe_data.documents.manifest import Manifest
from pe_data.documents.pointer import PointerBody
from pe_data.errors import PeDataError
from pe_data.names.digests import Sha256
from pe_data.names.times import parse_time
from pe_data.names.uri import StoreUri, parse_store_uri
from pe_data.read.locate import current_manifest, describe, look, read_pointer
from pe_data.read.options import Options
from pe_data.read.places import Places
from pe_data.read.seen import SeenChannels


class State(StrEnum):
    """The three answers."""

    CURRENT = "current"
    STALE = "stale"
    UNKNOWN = "cannot tell"

    @property
    def exit_code(self) -> int:
        """0, 1 or 2, for a job that runs every day."""
        return {State.CURRENT: 0, State.STALE: 1, State.UNKNOWN: 2}[self]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one dataset."""

    dataset: str
    state: State
    reasons: tuple[str, ...]
    ours: Sha256 | None = None
    newest: Sha256 | None = None
    built_with: str | None = None
    """Model package and version that built ours."""
    installed: str | None = None
    """Version of that package here."""


def overall(verdicts: Iterable[Verdict]) -> State:
    """Stale if any is, else unknown if any is or there are none, else current."""
    states = {verdict.state for verdict in verdicts}
    if State.STALE in states:
        return State.STALE
    return State.CURRENT if states == {State.CURRENT} else State.UNKNOWN


def check_country(country: str, options: Options) -> list[Verdict]:
    """One verdict per channel of `country` that this machine has used."""
    bodies = {(b.dataset, b.channel): b for b in SeenChannels.used(options.cache, country)}
    return [
        check_pin(StoreUri(country, body.dataset, None, body.channel, None), body.artifact_sha256, options)
        for body in bodies.values()
    ]


def check_uri(text: str, options: Options) -> Verdict:
    """The verdict for one address: a pin against its dataset's `latest`, a channel against what
    was used last."""
    uri = parse_store_uri(text)
    channel = StoreUri(uri.country, uri.dataset, None, uri.channel or "latest", None)
    if uri.sha256:
        return check_pin(channel, uri.sha256, options)
    last = [b for b in SeenChannels.used(options.cache, uri.country) if b.dataset == uri.dataset]
    if not last:
        why = f"this machine has not used it yet (pe-data ensure {text})"
        return Verdict(f"{uri.country}/{uri.dataset}", State.UNKNOWN, (why,))
    return check_pin(channel, last[-1].artifact_sha256, options)


def check_pin(channel: StoreUri, ours: Sha256, options: Options, model: tuple[str, str] | None = None) -> Verdict:
    """The verdict for an artifact against a channel.

    Args:
        model: Package and version that ours is for, if that is known; else its manifest says what built it.
    """
    stale: list[str] = []
    unknown: list[str] = []
    newest: Sha256 | None = None
    built_with = installed = None
    try:
        body = _newest(channel, options)
        newest = body.artifact_sha256
        if newest != ours:
            stale.append(f"version {body.version} of {body.published_at} has sha256 {newest}, ours {ours}")
        if body.expires and parse_time(body.expires) < datetime.now(UTC):
            stale.append(f"the pointer expired on {body.expires}")
    except PeDataError as error:
        unknown.append(f"the channel could not be read: {error}")
    try:
        manifest = _manifest(channel, ours, options)
        if manifest.status == "revoked":
            stale.append("it was revoked (`pe-data resolve` says why)")
        package, version = model or (manifest.build.model_package, manifest.build.model_version)
        if package and version:
            built_with = f"{package} {version}"
            installed = _installed(package)
            if installed is None:
                unknown.append(f"{package} is not installed here, so its version is not compared")
            elif installed != version:
                stale.append(f"{'certified for' if model else 'built with'} {built_with}, installed is {installed}")
        else:
            unknown.append("the manifest does not say which model version built it")
    except PeDataError as error:
        unknown.append(f"the manifest could not be read: {error}")
    state = State.STALE if stale else State.UNKNOWN if unknown else State.CURRENT
    name = f"{channel.country}/{channel.dataset}"
    return Verdict(name, state, (*stale, *unknown), ours, newest, built_with, installed)


def _newest(channel: StoreUri, options: Options) -> PointerBody:
    body = read_pointer(channel, Places.of(channel, options))[0]
    assert body is not None, "a channel address has a pointer"
    return body


def _manifest(channel: StoreUri, ours: Sha256, options: Options) -> Manifest:
    """The manifest of ours; for a collection that of one member, since one run made all."""
    pin = StoreUri(channel.country, channel.dataset, None, None, ours)
    places = Places.of(pin, options)
    located, described = look(pin, places)
    if described is None and located.collection is not None:
        located = located.member(min(located.collection.members))
    return current_manifest(located, described or describe(located, places), places)


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
