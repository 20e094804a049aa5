"""Every path below the folder of a cache.

::

    artifacts/4e/4e92….h5             verified bytes, read-only
    artifacts/4e/4e92….h5.stamp       size and mtime when they were verified
    artifacts/4e/4e92….manifest.json  plain JSON of the manifest
    artifacts/4e/4e92….unbound.json   a manifest that came with the payload and that nothing binds
    artifacts/4e/4e92….collection.json
    artifacts/4e/4e92….tombstone.json, ….us.tombstone.json, ….asked    see `known_revocations`
    artifacts/gated/uk.user-1000/4e/4e92….h5   payloads of a gated country, for user 1000 alone, or for the
    artifacts/gated/uk.group-frs/4e/4e92….h5   group `frs` (see `pe_data.files.private`), and their stamps
    artifacts/named/NC-01-4e92….h5    a link to a payload by a name that people read and 16 digits; likewise in `gated`
    partial/4e92….h5.part             a download that is under way, its own lock; of a gated country below its folder
    channels/{store}/us/name.latest.seen.json   the last pointer seen on a channel; `used`: the one used last
    locks/….lock                      one download at a time of an address without a digest, and where the file system
                                      cannot lock an open file
    mirrors.jsonl                     mirrors that were skipped, and why
    hub/{path}.stamp                  a file of the hub's own cache that was found right
    web/{address}.json                what was last fetched from a web address without a digest
    revocations/us.json, us.unchecked.json, us.asked   a country's revocation list, see `known_revocations`
    trust/{store}/                    what was seen of a store's trust root
    mirror/, fsck/{store}.json        half-made copies, and what a check found right

A name in braces is a hash of the text that it stands for. What comes from outside is checked before it is part of a
path: digests, names of countries, datasets and channels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pe_data.names.digests import Sha256, sha256_bytes
from pe_data.names.keys import ChannelName, check_channel, check_country, check_dataset, check_member

Kind = Literal["seen", "used"]
ListKind = Literal["json", "unchecked.json", "asked"]


class CachePaths:
    """The paths of one cache; makes nothing. A text that is no name or digest raises InvalidNameError."""

    __slots__ = ("artifacts", "root")

    def __init__(self, root: Path) -> None:  # no dataclass: each costs the reader's import a millisecond
        self.root = root
        self.artifacts = root / "artifacts"
        """Verified bytes that are nobody's alone, and the documents about all of them."""

    @property
    def gated(self) -> Path:
        """Folder of the folders of those who share gated payloads."""
        return self.artifacts / "gated"

    def circle(self, name: str) -> Path:
        """Gated payloads of one circle (`uk.user-1000`)."""
        return self.gated / name

    def circles(self, country: str) -> list[Path]:
        """Folders of every circle of a country."""
        return sorted(self.gated.glob(f"{country}.*"))

    def beside(self, sha256: Sha256, suffix: str) -> Path:
        """A document about an artifact."""
        return in_shard(self.artifacts, sha256, suffix)

    def all_artifacts(self) -> Iterator[Path]:
        """Every file of an artifact, gated or not."""
        yield from self.artifacts.glob("??/*")
        yield from self.gated.glob("*/??/*")

    def named(self, payload: Path, name: str) -> Path:
        """A second name of a payload, beside the folders of digests that it lies in."""
        short = check_member(name).rpartition("/")[2]
        return payload.parent.parent / "named" / f"{short}-{Sha256(payload.stem)[:16]}{payload.suffix}"

    def partial(self, sha256: str, suffix: str, circle: str | None = None) -> Path:
        """Where a download collects its bytes."""
        folder = self.root if circle is None else self.circle(circle)
        return folder / "partial" / f"{sha256}.{suffix}.part"

    def all_partials(self) -> list[Path]:
        """Downloads that are under way or were given up."""
        return sorted([*self.root.glob("partial/*.part"), *self.gated.glob("*/partial/*.part")])

    def lock(self, name: str) -> Path:
        """The lock file for one artifact or channel."""
        return self.root / "locks" / f"{name}.lock"

    @property
    def mirror_log(self) -> Path:
        """Mirrors that were skipped."""
        return self.root / "mirrors.jsonl"

    def channel(self, store_url: str, country: str, dataset: str, channel: ChannelName, kind: Kind) -> Path:
        """A pointer as it was read from a store."""
        folder = of_store(self.root / "channels", store_url) / check_country(country)
        return folder / f"{check_dataset(dataset)}.{check_channel(channel)}.{kind}.json"

    def channels_used(self, country: str) -> list[Path]:
        """The pointers of a country that were used last, of every store."""
        return sorted((self.root / "channels").glob(f"*/{check_country(country)}/*.used.json"))

    def revocations(self, country: str, kind: ListKind = "json") -> Path:
        """What is known of a country's revocation list."""
        return self.root / "revocations" / f"{check_country(country)}.{kind}"

    def revocation_countries(self) -> list[str]:
        """The countries of which a checked list is kept."""
        return sorted(path.stem for path in (self.root / "revocations").glob("*.json") if "." not in path.stem)

    def hub_stamp(self, path: Path) -> Path:
        """The stamp of a file in the hub's own cache."""
        return self.root / "hub" / f"{_hash(str(path))}.stamp"

    def web_record(self, url: str) -> Path:
        """What was last fetched from a web address."""
        return self.root / "web" / f"{_hash(url)}.json"

    @property
    def trust(self) -> Path:
        """What was seen of trust roots, each store's in the folder that `of_store` names."""
        return self.root / "trust"

    @property
    def mirror_work(self) -> Path:
        """Half-made copies of `pe-data mirror`."""
        return self.root / "mirror"

    def fsck_state(self, store_url: str) -> Path:
        """What `pe-data fsck` found right in a store."""
        return self.root / "fsck" / f"{_hash(store_url)[:16]}.json"


def in_shard(folder: Path, sha256: Sha256, suffix: str) -> Path:
    """`4e/4e92….suffix` below a folder; no text but a digest leads there."""
    digest = Sha256(sha256)
    return Path(f"{folder}/{digest[:2]}/{digest}.{suffix}")  # several for each file: cheaper than `/`


def of_store(folder: Path, store_url: str) -> Path:
    """The folder of one store below `folder`."""
    return folder / _hash(store_url.rstrip("/"))[:16]


def _hash(text: str) -> str:
    return sha256_bytes(text.encode())
