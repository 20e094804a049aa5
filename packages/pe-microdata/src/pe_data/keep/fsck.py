"""Check a store: every object against its digest, every reference against its object.

The check reads; it repairs nothing. Hashing payloads is what takes time, so those that were found
right before and have not changed since (`pe_data.keep.verified`) are not read again unless asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pe_data.documents.collection import COLLECTION_LIMIT, Collection
from pe_data.documents.envelope import TOMBSTONE_TYPE, parse_envelope
from pe_data.documents.pointer import POINTER_LIMIT, PointerBody, check_place, parse_signed
from pe_data.documents.revocations import LIST_LIMIT
from pe_data.documents.tombstone import TOMBSTONE_LIMIT, Tombstone
from pe_data.errors import (
    InvalidDocumentError,
    InvalidTombstoneError,
    ObjectNotFoundError,
    PeDataError,
    UncheckedRevocationError,
)
from pe_data.keep.verified import load, save, version_of
from pe_data.names import times
from pe_data.names.digests import Sha256, sha256_bytes, sha256_pieces
from pe_data.names.keys import (
    CHANNELS_PREFIX,
    PROBE_KEY,
    REVOCATIONS_PREFIX,
    ObjectKind,
    channel_key,
    check_channel,
    parse_object_key,
    revocations_history_key,
    revocations_key,
    tombstone_key,
)
from pe_data.read.channels import history
from pe_data.store.artifacts import parse_collection, parse_manifest
from pe_data.store.base import ObjectMeta, Store
from pe_data.trust.revocations import Verifier

Artifact = tuple[str, Sha256]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    key: str
    problem: str
    advice: str


@dataclass(frozen=True, slots=True)
class FsckReport:
    """Outcome of a check."""

    store: str
    objects: int
    hashed: int
    """Payloads that were read."""
    hashed_bytes: int
    skipped: int
    """Payloads that have not changed since they were last found right."""
    channels: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check_store(store: Store, *, state_path: Path | None = None, full: bool = False) -> FsckReport:
    """Check every object and channel of `store`.

    Args:
        state_path: Where to remember what was found right; None remembers nothing.
        full: Read every payload, also the unchanged ones.

    Raises:
        ListingNotSupportedError: if the store cannot be listed.
    """
    known = {} if full or state_path is None else load(state_path, store.url)
    checker = _Checker(store, known, Verifier.of(lambda: store))
    pointers, lists = [], []
    objects = 0
    for meta in sorted(store.list(""), key=lambda meta: meta.key):
        objects += 1
        if meta.key.startswith(CHANNELS_PREFIX):
            pointers.append(meta.key)
        elif meta.key.startswith(REVOCATIONS_PREFIX):
            lists.append(meta)
        else:
            checker.check_object(meta)
    for country in sorted({meta.key[len(REVOCATIONS_PREFIX) :].split(".")[0] for meta in lists}):
        checker.check_list(country)
    checker.check_references()
    channels = sum(checker.check_channel_object(key) for key in pointers)
    if state_path is not None:
        save(state_path, store.url, checker.verified)
    return FsckReport(
        store=store.url,
        objects=objects,
        hashed=checker.hashed,
        hashed_bytes=checker.hashed_bytes,
        skipped=checker.skipped,
        channels=channels,
        findings=tuple(checker.findings),
    )


class _Checker:
    """State of one check."""

    def __init__(self, store: Store, known: Mapping[str, str], verifier: Verifier) -> None:
        self._store = store
        self._verifier = verifier
        self._known = known
        self._payloads: dict[Artifact, ObjectMeta] = {}
        self._manifests: dict[Artifact, Sha256] = {}  # digest of the plain JSON
        self._collections: dict[Artifact, Collection] = {}
        self._tombstones: dict[Artifact, Tombstone] = {}  # those that are genuine
        self._signed: dict[Artifact, Sha256] = {}  # digest of the body of each of them, as it was signed
        self.verified: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.hashed = self.hashed_bytes = self.skipped = 0

    def check_object(self, meta: ObjectMeta) -> None:
        """Check one object of the content-addressed part; other keys are none of our business."""
        parsed = parse_object_key(meta.key)
        if parsed is None:
            return
        artifact = (parsed.country, parsed.sha256)
        try:
            match parsed.kind:
                case ObjectKind.PAYLOAD:
                    self._payloads[artifact] = meta
                    self._check_payload(meta, parsed.sha256)
                case ObjectKind.MANIFEST:
                    self._check_manifest(meta, artifact)
                case ObjectKind.COLLECTION:
                    self._check_collection(meta, artifact)
                case ObjectKind.TOMBSTONE:
                    self._check_tombstone(meta, artifact)
        except ObjectNotFoundError:
            return  # Collected or removed while we looked; references to it are found below.
        except PeDataError as error:
            self._found(meta.key, str(error), "remove it, then publish the artifact again")

    def check_list(self, country: str) -> None:
        """Check the revocation list of a country against the tombstones that are there."""
        key = revocations_key(country)
        try:
            raw = self._store.get(key, max_bytes=LIST_LIMIT).data
            listed = self._verifier.check_list(raw, country=country, what=key)
        except UncheckedRevocationError as error:
            self._found(key, str(error), "run fsck where the trust root and the extra 'trust' are installed")
            return
        except (InvalidDocumentError, ObjectNotFoundError) as error:
            advice = f"readers go by the last one that they saw; sign the next one: `pe-data revoke --list {country}`"
            self._found(key, f"a revocation list that is not genuine: {error}", advice)
            return
        renew = f"sign the next one: `pe-data revoke --list {country}`"
        if listed.ends() <= times.now():
            self._found(key, f"version {listed.version} ended on {listed.expires}", renew)
        if listed.prev is not None and not self._store.exists(
            revocations_history_key(country, listed.version - 1, listed.prev)
        ):
            self._found(
                key, f"version {listed.version - 1}, which it follows, is not in the history", "nothing: it holds"
            )
        for place in self._tombstones:
            if place[0] == country and place[1] not in listed.revoked:
                self._found("/".join(place), "a tombstone that is not on the revocation list", renew)
        for sha256, ended in listed.revoked.items():
            found = self._signed.get((country, Sha256(sha256)))
            if found != ended.tombstone:
                self._found(
                    tombstone_key(country, sha256),
                    f"expected the tombstone that the revocation list names ({ended.tombstone}), found "
                    f"{'another' if found else 'none'}",
                    "readers are refused without a reason: put it back from a copy, or " + renew,
                )

    def check_references(self) -> None:
        """Payloads and manifests belong together; members of collections exist."""
        for artifact, meta in self._payloads.items():
            if artifact in self._tombstones:
                self._found(
                    meta.key,
                    f"revoked on {self._tombstones[artifact].date[:10]}, but the payload is still there",
                    "a revocation was interrupted, or it was put back: run `pe-data revoke` again, or pe-data gc",
                )
            elif artifact not in self._manifests:
                self._found(
                    meta.key,
                    "a payload without manifest: a publication was interrupted",
                    "publish it again; if nobody needs it, pe-data gc removes it",
                )
        for artifact in self._manifests:
            if artifact not in self._payloads and artifact not in self._tombstones:
                self._found(
                    "/".join(artifact),
                    "a manifest without payload: the payload was removed",
                    "publish the payload again, or let pe-data gc finish a deletion",
                )
        for (_, digest), collection in self._collections.items():
            for name, member in collection.members.items():
                problem = self._reference_problem((collection.country, member.artifact_sha256), member.manifest_sha256)
                if problem:
                    self._found(
                        f"{collection.country}/{digest}: member {name}",
                        problem,
                        "publish the collection again from its files",
                    )

    def check_channel_object(self, key: str) -> bool:
        """Check one object under channels/; True if it is a pointer."""
        parts = key.removeprefix(CHANNELS_PREFIX).split("/")
        if key == PROBE_KEY or (len(parts) == 4 and parts[2] in ("latest.history", "next.history")):
            return False
        try:
            country, dataset, name = parts if len(parts) == 3 else ("", "", "")
            channel = check_channel(name.removesuffix(".json"))
            if key != channel_key(country, dataset, channel):
                raise InvalidDocumentError(f"{key}: not the key of a channel")
            if channel == "next":
                raw = self._store.get(key, max_bytes=POINTER_LIMIT).data
                body = parse_signed(raw, what=key).claimed()
                check_place(body, country=country, dataset=dataset, channel=channel, namespace=None, what=key)
            else:
                # The whole chain is walked, so that a break anywhere in it is found.
                chain = list(history(self._store, country, dataset))
                body = chain[0].body
            self._check_target(key, body)
        except PeDataError as error:
            self._found(key, str(error), "publish the dataset again to write a good pointer")
        return True

    def _check_target(self, key: str, body: PointerBody) -> None:
        artifact = (body.country, body.artifact_sha256)
        stone = self._tombstones.get(artifact)
        if stone is not None:
            self._found(
                key,
                f"the channel stands at sha256:{body.artifact_sha256}, which was revoked on {stone.date[:10]}",
                "publish a newer version; readers are refused until then",
            )
            return
        if body.is_collection:
            problem = None if artifact in self._collections else "the collection is not there"
        else:
            problem = self._reference_problem(artifact, body.manifest_sha256)
        if problem:
            self._found(
                key,
                f"the channel stands at sha256:{body.artifact_sha256}, but {problem}",
                "publish that artifact again, or `pe-data channel set` to an earlier one",
            )

    def _reference_problem(self, artifact: Artifact, manifest_sha256: Sha256) -> str | None:
        if artifact in self._tombstones:
            return None
        if artifact not in self._payloads:
            return f"the payload of sha256:{artifact[1]} is not there"
        found = self._manifests.get(artifact)
        if found != manifest_sha256:
            return f"the manifest of sha256:{artifact[1]} should have sha256 {manifest_sha256}, found {found or 'none'}"
        return None

    def _check_tombstone(self, meta: ObjectMeta, artifact: Artifact) -> None:
        key, (country, sha256) = meta.key, artifact
        raw = self._store.get(key, max_bytes=TOMBSTONE_LIMIT).data
        try:
            stone = self._verifier.check(raw, country=country, sha256=sha256, what=key)
        except InvalidTombstoneError as error:
            advice = "it changes nothing; `pe-data revoke` replaces it if the artifact is to be revoked, else remove it"
            self._found(key, f"a tombstone that is not genuine: {error}", advice)
        except UncheckedRevocationError as error:
            self._found(key, str(error), "run fsck where the trust root and the extra 'trust' are installed")
        else:
            self._tombstones[artifact] = stone
            self._signed[artifact] = sha256_bytes(parse_envelope(raw, payload_type=TOMBSTONE_TYPE, what=key).body)

    def _check_payload(self, meta: ObjectMeta, expected: Sha256) -> None:
        version = version_of(meta)
        if self._known.get(meta.key) == version:
            self.skipped += 1
        else:
            digest, size = sha256_pieces(self._store.open(meta.key).pieces())
            self.hashed += 1
            self.hashed_bytes += size
            if digest != expected:
                self._found(
                    meta.key,
                    f"expected sha256 {expected}, found {digest} over {size} bytes",
                    "remove it, then publish the artifact again",
                )
                return
        self.verified[meta.key] = version

    def _check_manifest(self, meta: ObjectMeta, artifact: Artifact) -> None:
        one = parse_manifest(self._store.get(meta.key).data, *artifact, what=meta.key, advice="")
        found = one.manifest.artifact
        payload = self._payloads.get(artifact)
        if payload and payload.size != found.size_bytes:
            raise InvalidDocumentError(f"{meta.key}: says {found.size_bytes} bytes, the payload has {payload.size}")
        self._manifests[artifact] = one.sha256

    def _check_collection(self, meta: ObjectMeta, artifact: Artifact) -> None:
        raw = self._store.get(meta.key, max_bytes=COLLECTION_LIMIT).data
        collection = parse_collection(raw, *artifact, what=meta.key, advice="")
        self._collections[artifact] = collection

    def _found(self, key: str, problem: str, advice: str) -> None:
        self.findings.append(Finding(key, problem, advice))


def iterate_lines(report: FsckReport) -> Iterator[str]:
    """The report for a person, line by line."""
    for finding in report.findings:
        yield f"{finding.key}: {finding.problem}"
        yield f"    → {finding.advice}"
    yield (
        f"{report.objects} objects, {report.channels} channels; {report.hashed} payloads hashed "
        f"({report.hashed_bytes / 1e6:.1f} MB), {report.skipped} unchanged since the last check; "
        f"{len(report.findings)} problem(s)"
    )
