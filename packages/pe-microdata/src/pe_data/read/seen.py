"""The last pointer that this machine saw on each channel, and the last one that it used.

An older version than the one seen last is refused, and so is a channel that has become somebody else's (another
namespace); of a signed channel also another pointer of the same version. A signed pointer is remembered only once
it was verified. The one used last, whose files are in the cache, stands in with `allow_stale` when the store cannot
be reached, and is what `staleness` compares.
"""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pe_data.cache.entries import Cache
from pe_data.cache.paths import Kind
from pe_data.documents.pointer import (
    DEFAULT_NAMESPACE,
    PointerBody,
    UnsignedPointer,
    body_of,
    check_place,
    parse_signed,
)
from pe_data.errors import (
    CacheError,
    CacheWarning,
    InvalidDocumentError,
    PointerMismatchError,
    RollbackError,
)
from pe_data.files.atomic import write_atomic
from pe_data.names.digests import Sha256, read_kept, sha256_bytes
from pe_data.names.keys import ChannelName
from pe_data.trust.nominations import VerifiedPointer


@dataclass(frozen=True, slots=True)
class Seen:
    """A pointer that was believed when it was read."""

    body: PointerBody
    sha256: Sha256
    """Of its body."""


@dataclass(frozen=True, slots=True)
class SeenChannels:
    """The pointers seen in one store."""

    cache: Cache
    store_url: str

    def path(self, country: str, dataset: str, channel: ChannelName, kind: Kind = "seen") -> Path:
        """The file that keeps the pointer's bytes as they were read."""
        return self.cache.paths.channel(self.store_url, country, dataset, channel, kind)

    def last(self, country: str, dataset: str, channel: ChannelName, kind: Kind = "seen") -> Seen | None:
        """The pointer seen or used last, or None; a damaged record counts as none."""
        path = self.path(country, dataset, channel, kind)
        raw = read_kept(path)
        if raw is None:
            return None
        try:
            if channel == "next" and kind == "seen":
                raw = parse_signed(raw, what=str(path)).document.body
            else:
                raw = body_of(raw, what=str(path))
            body = PointerBody.from_bytes(raw, str(path))
            check_place(
                body,
                country=country,
                dataset=dataset,
                channel=channel,
                namespace=None,
                what=str(path),
            )
        except (InvalidDocumentError, PointerMismatchError):
            return None
        return Seen(body, sha256_bytes(raw))

    def accept(self, pointer: UnsignedPointer | VerifiedPointer, raw: bytes) -> None:
        """Remember a pointer that was just read, with its bytes as stored.

        Raises:
            RollbackError: it is older than the one seen last, or signed and another of its version.
            PointerMismatchError: it has another namespace than the one seen last.
        """
        body = pointer.body
        before = self.last(body.country, body.dataset, body.channel)
        path = self.path(body.country, body.dataset, body.channel)
        if before is not None:
            self._check_namespace(before.body, body, path)
            if body.version < before.body.version:
                raise RollbackError(
                    f"{self.store_url}: channel {body.channel} of {body.country}/{body.dataset}: "
                    f"expected version {before.body.version} or later, which this machine has "
                    f"seen, found version {body.version}. The store was set back or rebuilt. If "
                    f"that was meant, remove {path} and try again"
                )
            if before.sha256 == pointer.sha256:
                return
            if body.version == before.body.version and isinstance(pointer, VerifiedPointer):
                raise RollbackError(
                    f"{self.store_url}: channel {body.channel} of {body.country}/{body.dataset}: expected one pointer "
                    f"of version {body.version}, found another than the one that this machine has seen "
                    f"(sha256:{before.body.artifact_sha256}). Somebody signed twice; ask the operator of the store"
                )
        with suppress(CacheError):  # a cache that cannot be written still gives its files; `use` says so
            write_atomic(path, raw)

    def _check_namespace(self, before: PointerBody, now: PointerBody, path: Path) -> None:
        """A namespace that nobody chose may get a name when the channel moves on; any other change is refused."""
        if before.namespace == now.namespace:
            return
        what = f"{self.store_url}: channel {now.channel} of {now.country}/{now.dataset}"
        if before.namespace != DEFAULT_NAMESPACE or now.version <= before.version:
            raise PointerMismatchError(
                f"{what}: expected namespace {before.namespace!r} at version {before.version} or later, which this "
                f"machine has seen, found {now.namespace!r} at version {now.version}. Somebody else wrote it; ask the "
                f"operator of the store. If that was meant, remove {path} and try again"
            )
        warnings.warn(
            f"{what}: the channel, which had no name of its own ({before.namespace!r}), is now that of "
            f"{now.namespace!r}",
            CacheWarning,
            stacklevel=4,
        )

    def use(self, body: PointerBody) -> None:
        """Remember that what `body` points at is in the cache; a cache that cannot be written is warned about."""
        path = self.path(body.country, body.dataset, body.channel, "used")
        last = self.last(body.country, body.dataset, body.channel, "used")
        if last is not None and last.body == body:
            return
        try:
            write_atomic(path, body.to_bytes())
        except CacheError as error:
            warnings.warn(
                f"{self.store_url}: this machine cannot remember where the channel stands, so it would not notice if "
                f"the store were set back: {error}",
                CacheWarning,
                stacklevel=4,
            )

    @staticmethod
    def used(cache: Cache, country: str) -> Iterator[PointerBody]:
        """Every pointer of a country that was used last, whichever store it came from."""
        for path in cache.paths.channels_used(country):
            with suppress(InvalidDocumentError):
                yield PointerBody.from_bytes(read_kept(path) or b"", str(path))
