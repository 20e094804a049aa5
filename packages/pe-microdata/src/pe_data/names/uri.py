"""Parse artifact addresses.

::

    pe-data://{country}/{dataset}[/{member/path}]@{latest|next|sha256:<64 hex>}
    pe-data://{country}/{dataset}@sha256:<64 hex>#manifest=sha256:<64 hex>
    hf://[dataset/|model/]{owner}/{repo}/{file/path}[@{revision}][#sha256=<64 hex>]
    https://host/path/file.h5[#sha256=<64 hex>]          (http:// too)
    a/plain/path.h5[#sha256=<64 hex>]

`@sha256:` names the bytes that come back: the payload, or the collection when there is no member
path. With a member path it pins the collection, and the member comes out of it. `#manifest=` binds the manifest of a
single file as well (a collection binds those of its members).
An address that does not follow the grammar raises `InvalidNameError`, which names the wrong part.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pe_data.errors import InvalidNameError
from pe_data.names.countries import DATASET_EXAMPLE, MEMBER_EXAMPLE
from pe_data.names.digests import Sha256, parse_sha256
from pe_data.names.keys import (
    COUNTRY,
    DATASET,
    EXTENSIONS,
    MEMBER,
    ChannelName,
    check_channel,
    check_country,
    check_dataset,
    check_member,
)
from pe_data.texts import cut

SCHEME = "pe-data://"
EXAMPLE = f"pe-data://{DATASET_EXAMPLE}@latest"
RepoType = Literal["model", "dataset"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_HUB_KINDS: dict[str, RepoType] = {
    "dataset": "dataset",
    "datasets": "dataset",
    "model": "model",
    "models": "model",
}
_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HUB_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ +=-]{0,199}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_FRAGMENT = "#sha256="
_MANIFEST = "#manifest=sha256:"


@dataclass(frozen=True, slots=True)
class StoreUri:
    """An artifact, a collection or a member of one, in a store."""

    country: str
    dataset: str
    member: str | None
    """Relative name within a collection, such as `districts/NC-01`."""
    channel: ChannelName | None
    """Exactly one of `channel` and `sha256` is set."""
    sha256: Sha256 | None
    manifest: Sha256 | None = None
    """Digest of the manifest of a single file that is pinned."""

    def __str__(self) -> str:
        member = f"/{self.member}" if self.member else ""
        reference = self.channel or f"sha256:{self.sha256}"
        bound = f"{_MANIFEST}{self.manifest}" if self.manifest else ""
        return f"{SCHEME}{self.country}/{self.dataset}{member}@{reference}{bound}"

    @property
    def name(self) -> str:
        """Short name for files and keys: the member's last segment, else the dataset."""
        return self.member.rpartition("/")[2] if self.member else self.dataset


@dataclass(frozen=True, slots=True)
class HubUri:
    """A file in a repository of the Hugging Face hub."""

    owner: str
    repo: str
    path: str
    revision: str
    repo_type: RepoType
    sha256: Sha256 | None
    guessed: bool = field(default=False, compare=False)
    """Whether the address names no kind of repository: a model is looked for first, then a dataset."""

    def __str__(self) -> str:
        kind = "dataset/" if self.repo_type == "dataset" else ""
        fragment = f"{_FRAGMENT}{self.sha256}" if self.sha256 else ""
        return f"hf://{kind}{self.owner}/{self.repo}/{self.path}@{self.revision}{fragment}"

    @property
    def name(self) -> str:
        return Path(self.path).stem


@dataclass(frozen=True, slots=True)
class WebUri:
    """A file behind http or https."""

    url: str
    """Without the fragment."""
    sha256: Sha256 | None

    def __str__(self) -> str:
        return self.url + (f"{_FRAGMENT}{self.sha256}" if self.sha256 else "")

    @property
    def name(self) -> str:
        return Path(self.url.partition("?")[0].rstrip("/")).stem


@dataclass(frozen=True, slots=True)
class PathUri:
    """A file on this machine."""

    path: Path
    sha256: Sha256 | None

    def __str__(self) -> str:
        return str(self.path) + (f"{_FRAGMENT}{self.sha256}" if self.sha256 else "")

    @property
    def name(self) -> str:
        return self.path.stem


Uri = StoreUri | HubUri | WebUri | PathUri


_ALMOST = re.compile(rf"(?:pe-data:/{{0,2}})?(?P<names>{COUNTRY}/{DATASET}(?:/{MEMBER})?)(?P<reference>@.*)?")


def meant(text: str) -> str:
    """` Did you mean pe-data://…?` for what is an address but for its scheme or reference, else nothing."""
    corrected = in_full(text)
    return f" Did you mean {corrected}?" if corrected != text else ""


def in_full(text: str) -> str:
    """The address that `us/local_areas`, `us/local_areas@latest` and the like stand for; any other text as it is."""
    match = _ALMOST.fullmatch(text)
    if match is None or Path(match["names"]).suffix[1:] in EXTENSIONS:
        return text
    return f"{SCHEME}{match['names']}{match['reference'] or '@latest'}"


def split_dataset(text: str) -> tuple[str, str]:
    """`us/enhanced_cps_2024` → country and dataset; a full address works too. Raises InvalidNameError."""
    names = text.removeprefix("pe-data://").partition("@")[0]
    country, slash, dataset = names.partition("/")
    if not slash:
        raise InvalidNameError(f"dataset: expected COUNTRY/DATASET such as {DATASET_EXAMPLE}, found {text[:120]!r}")
    return check_country(country), check_dataset(dataset)


def parse_uri(text: "str | os.PathLike[str]") -> Uri:
    """Read an address; a path object is a file on this machine.

    Raises:
        InvalidNameError: the message names the part (scheme, country, dataset, member, reference,
            sha256, owner, repository, file, revision), what was expected and what was found.
        InvalidNameError: `@stable`, `@lts-…` (they live in release bundles) or another
            channel that does not exist.
    """
    if isinstance(text, os.PathLike):
        return _path(os.fspath(text))
    if not isinstance(text, str):
        raise InvalidNameError(
            f"address: expected text such as {EXAMPLE!r} or a path, found {type(text).__name__} {str(text)[:80]!r}"
        )
    if not text or text != text.strip():
        raise _error(text, "address", f"an address such as {EXAMPLE}", text)
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise _error(text, "address", "no control characters", text)
    scheme = _SCHEME.match(text)
    if scheme is None:
        path, sha256 = _split_fragment(text)
        return PathUri(Path(path), sha256)
    if text.startswith(SCHEME):
        return _store(text, text.removeprefix(SCHEME))
    if text.startswith("hf://"):
        return _hub(text, text.removeprefix("hf://"))
    if text.startswith(("https://", "http://")):
        return _web(text)
    if scheme[2] is None and len(scheme[1]) > 1 and not text.lower().startswith("pe-data:"):
        path, sha256 = _split_fragment(text)
        return PathUri(Path(path), sha256)
    raise _error(text, "scheme", "pe-data://, hf://, https://, http:// or a plain path", scheme[0])


def _path(text: object) -> PathUri:
    if not isinstance(text, str):
        raise InvalidNameError(f"address: expected text or a path, found {type(text).__name__}")
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[1] in ("pe-data", "hf", "https", "http"):
        raise InvalidNameError(
            f"address {_short(text)!r}: expected text, found a path object, which drops a slash. Write it as a str, "
            f"such as {EXAMPLE!r}"
        )
    return PathUri(Path(text), None)


def parse_store_uri(text: str) -> StoreUri:
    """Read an address that must be a `pe-data://` one."""
    uri = parse_uri(text)
    if not isinstance(uri, StoreUri):
        raise _error(text, "scheme", f"{SCHEME} (such as {EXAMPLE})", text.partition(":")[0])
    return uri


def _store(text: str, rest: str) -> StoreUri:
    rest, bound, manifest = rest.partition(_MANIFEST)
    for mark, part in (("?", "query"), ("#", "fragment"), ("%", "percent-encoding")):
        if mark in rest:
            raise _error(text, part, "none", rest[rest.index(mark) :])
    names, at, reference = rest.partition("@")
    wanted = "@latest, @next or @sha256:<64 hexadecimal digits> at the end"
    if not at or not reference:
        raise _error(text, "reference", wanted, reference)
    if "@" in reference:
        raise _error(text, "reference", "a single '@'", f"@{reference}")
    country, slash, tail = names.partition("/")
    dataset, deeper, member = tail.partition("/")
    if not slash or not dataset:
        raise _error(text, "dataset", "pe-data://{country}/{dataset}@…", dataset)
    if deeper and not member:
        raise _error(text, "member", f"a relative name such as {MEMBER_EXAMPLE}", member)
    try:
        check_country(country)
        check_dataset(dataset)
        if member:
            check_member(member)
    except InvalidNameError as error:
        raise InvalidNameError(f"address {_short(text)!r}: {error}") from None
    channel, sha256 = _reference(text, reference)
    if bound and (member or channel):
        raise _error(text, "manifest", "none on a channel or a member, which bind it", f"{_MANIFEST}{manifest}")
    return StoreUri(country, dataset, member or None, channel, sha256, _sha256(text, manifest) if bound else None)


def _reference(text: str, reference: str) -> tuple[ChannelName | None, Sha256 | None]:
    if reference.startswith("sha256:"):
        return None, _sha256(text, reference.removeprefix("sha256:"))
    if reference.startswith("sha256"):
        raise _error(text, "reference", "'sha256:' and 64 hexadecimal digits", reference)
    try:
        return check_channel(reference), None
    except InvalidNameError as error:
        raise InvalidNameError(f"address {_short(text)!r}: {error}") from None


def _hub(text: str, rest: str) -> HubUri:
    rest, sha256 = _split_fragment(rest, text)
    names, at, revision = rest.partition("@")
    segments = names.split("/")
    kind = _HUB_KINDS.get(segments[0])
    if kind is not None:
        segments.pop(0)
        if (
            len(segments) == 2 and "/" in revision
        ):  # as release bundles and the hub write it: …/{repo}@{revision}/{file}
            revision, _, file = revision.partition("/")
            segments += file.split("/")
    if at and not _REVISION.fullmatch(revision):
        raise _error(text, "revision", "a branch, a tag or a commit after '@'", revision)
    if len(segments) < 3:
        missing = ("owner", "repository", "file")[len([s for s in segments if s])]
        raise _error(text, missing, "hf://[dataset/]{owner}/{repo}/{file}@{revision}", "")
    owner, repo, *path = segments
    for part, value in (("owner", owner), ("repository", repo)):
        if not _HUB_NAME.fullmatch(value):
            raise _error(text, part, "letters, digits, '-', '_' and '.'", value)
    for segment in path:
        if not _HUB_SEGMENT.fullmatch(segment) or ".." in segment:
            raise _error(text, "file", "a path without empty, hidden or '..' segments", segment)
    return HubUri(owner, repo, "/".join(path), revision or "main", kind or "model", sha256, guessed=kind is None)


def _web(text: str) -> WebUri:
    url, sha256 = _split_fragment(text)
    host, _, path = url.partition("://")[2].partition("/")
    if not host:
        raise _error(text, "host", "a host name", host)
    if "@" in host:
        raise InvalidNameError(
            "address: host: expected a host name, found a user name or password before '@'. "
            "Credentials do not belong in an address."
        )
    if not path or path.endswith("/"):
        raise _error(text, "file", "the path of a file", path)
    if any(c.isspace() for c in url):
        raise _error(text, "file", "no blanks (write %20)", path)
    return WebUri(url, sha256)


def _split_fragment(rest: str, text: str | None = None) -> tuple[str, Sha256 | None]:
    """Cut `#sha256=…` off; a path may hold other `#`, an address may not."""
    before, mark, digest = rest.partition(_FRAGMENT)
    if mark:
        return before, _sha256(text or rest, digest)
    if "://" in (text or rest) and "#" in rest:
        raise _error(text or rest, "fragment", "#sha256=<64 hex>", rest[rest.index("#") :])
    return rest, None


def _sha256(text: str, digest: str) -> Sha256:
    try:
        return parse_sha256(digest)
    except InvalidNameError as error:
        raise InvalidNameError(f"address {_short(text)!r}: {error}") from None


def _error(text: str, part: str, expected: str, found: str) -> InvalidNameError:
    what = repr(_short(found)) if found else "nothing"
    return InvalidNameError(
        f"address {_short(text)!r}: {part}: expected {expected}, found {what}.{meant(text)}".rstrip(".")
    )


def _short(text: str) -> str:
    return cut(text, 160)
