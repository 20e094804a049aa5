"""Build a new version of the TUF metadata from a list of who holds which role.

A version is four documents of The Update Framework that carry one number: `root` (whose keys may
change the root), `targets` (which delegates each role, `next-us` and its like, to keys with a
threshold and a date), and `snapshot` and `timestamp`, which tie them together. All four are signed
with the root's keys. The timestamp's date is the shortest: it bounds for how long a store that
withholds a newer version can keep an old one alive.

A delegated role has no metadata of its own. What it signs are the documents of the store whose keys
its paths describe, in envelopes of `pe_data.documents.envelope`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Role as TufRole

from pe_data.errors import TrustRootError
from pe_data.names.times import format_time
from pe_data.trust.client import ROLE_EXPIRES, TOP_LEVEL, Version, check_distinct
from pe_data.trust.policy import Holders, Role

LIFETIME = timedelta(days=365)
FRESH = timedelta(days=90)
_PATHS = {
    "latest": "channels/{country}/*/latest.json",
    "next": "channels/{country}/*/next.json",
    "revoke": "{country}/*/*.tombstone.json",
    "audit": "audit/{country}/*",
    "attest": "{country}/*/*.intoto.json",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that a version of the trust root says."""

    root: Holders
    roles: Mapping[str, Holders]
    """By name, `next-us`."""
    fresh_until: datetime
    """Until when a client believes that there is no newer version."""

    def with_role(self, name: str, holders: Holders) -> "Terms":
        """These terms with another holder of one role (`root` or a delegated one)."""
        if name == Root.type:
            return replace(self, root=holders)
        Role.parse(name)
        return replace(self, roles={**self.roles, name: holders})

    def without_key(self, key_id: str) -> "Terms":
        """These terms without one key, in every role. Raises TrustRootError if nobody has it."""
        holders = {Root.type: self.root, **self.roles}
        if not any(key_id in one.keys for one in holders.values()):
            raise TrustRootError(f"trust root: no role has key {key_id[:80]}, so it cannot be taken out")
        left = {
            name: replace(one, keys={other: key for other, key in one.keys.items() if other != key_id})
            for name, one in holders.items()
        }
        return replace(self, root=left.pop(Root.type), roles=left)

    def with_key_replaced(self, key_id: str, key: Key) -> "Terms":
        """These terms with `key` wherever `key_id` stood. Raises TrustRootError if nobody has it."""
        left = self.without_key(key_id)
        before = {Root.type: self.root, **self.roles}
        after = {
            name: replace(one, keys={**one.keys, key.keyid: key}) if key_id in before[name].keys else one
            for name, one in {Root.type: left.root, **left.roles}.items()
        }
        return replace(left, root=after.pop(Root.type), roles=after)

    def renewed(self, expires: datetime, fresh_until: datetime) -> "Terms":
        """These terms with other dates."""
        return Terms(
            replace(self.root, expires=expires),
            {name: replace(one, expires=expires) for name, one in self.roles.items()},
            fresh_until,
        )

    def check(self) -> "Terms":
        """These terms, if they can be fulfilled and no person counts twice. Raises TrustRootError."""
        for name, one in {Root.type: self.root, **self.roles}.items():
            if not 1 <= one.threshold <= len(one.keys):
                raise TrustRootError(
                    f"trust root: role {name}: expected a threshold from 1 to the number of its keys "
                    f"({len(one.keys)}), found {one.threshold}"
                )
        check_distinct(self.keys, what="trust root")
        return self

    @property
    def keys(self) -> dict[str, Key]:
        """Every key of every role, by id."""
        return {key_id: key for one in (self.root, *self.roles.values()) for key_id, key in one.keys.items()}


def build(terms: Terms, number: int) -> Version:
    """The documents of version `number`, without signatures. Raises TrustRootError."""
    terms.check()
    holders = terms.root
    ids = list(holders.keys)
    root = Root(
        version=number,
        expires=_whole(holders.expires),
        keys=dict(holders.keys),
        roles={name: TufRole(ids, holders.threshold) for name in TOP_LEVEL},
        consistent_snapshot=True,
    )
    delegated = {name: _delegated(name, one) for name, one in sorted(terms.roles.items())}
    keys = {key_id: key for one in terms.roles.values() for key_id, key in one.keys.items()}
    targets = Targets(version=number, expires=_whole(holders.expires), delegations=Delegations(keys, delegated))
    fresh = _whole(min(terms.fresh_until, holders.expires))
    snapshot = Snapshot(version=number, expires=fresh, meta={"targets.json": MetaFile(number)})
    timestamp = Timestamp(version=number, expires=fresh, snapshot_meta=MetaFile(number))
    return Version(Metadata(root), Metadata(timestamp), Metadata(snapshot), Metadata(targets))


def terms_of(version: Version) -> Terms:
    """The terms that published documents say; inverse of `build`. Raises TrustRootError."""
    root = version.root.signed
    holders = root.roles[Root.type]
    top = Holders({i: root.keys[i] for i in holders.keyids}, holders.threshold, root.expires)
    return Terms(top, version.roles(what="trust root"), version.timestamp.signed.expires)


def describe(terms: Terms) -> Iterable[str]:
    """The terms for a person, one line each."""
    for name, one in {Root.type: terms.root, **dict(sorted(terms.roles.items()))}.items():
        yield f"{name:10} {one.threshold} of {len(one.keys)}, until {one.expires:%Y-%m-%d}"
        for key_id in one.keys:
            yield f"{'':10}   {key_id}"
    yield f"{'fresh':10} until {terms.fresh_until:%Y-%m-%d}: renew before with `pe-data root rotate`"


def _delegated(name: str, holders: Holders) -> DelegatedRole:
    role = Role.parse(name)
    return DelegatedRole(
        name,
        list(holders.keys),
        holders.threshold,
        terminating=True,
        paths=[_PATHS[role.purpose].format(country=role.country)],
        unrecognized_fields={ROLE_EXPIRES: format_time(holders.expires)},
    )


def _whole(moment: datetime) -> datetime:
    """The Update Framework writes whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)
