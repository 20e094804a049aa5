"""Parsers of everything that comes from outside: they parse, or raise one of our errors; nothing else.

Two kinds of bytes: arbitrary ones, and valid documents that were mutated (bytes flipped, cut, doubled;
values of the JSON replaced). `pytest -m slow` tries ten times as many.
"""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from storage_helpers import at_time
from test_hostile_documents import earlier_release, release
from trust_helpers import make_trust

from pe_data.certify.reading import parse_release
from pe_data.describe.columns import inputs_of
from pe_data.describe.file import Label
from pe_data.describe.from_sidecar import manifest_from, read_sidecar
from pe_data.documents.collection import Collection, Member
from pe_data.documents.document import Document
from pe_data.documents.encoding import pack, unpack
from pe_data.documents.envelope import POINTER_TYPE, TOMBSTONE_TYPE, parse_envelope, sign
from pe_data.documents.manifest import Artifact, Build, Entity, InputFile, Manifest
from pe_data.documents.pointer import PointerBody, parse_signed, parse_unsigned
from pe_data.documents.revocations import Ended, RevocationList
from pe_data.documents.tombstone import Tombstone
from pe_data.errors import PeDataError
from pe_data.keep.pins import PinFile
from pe_data.names.digests import Sha256, canonical_json, strict_json
from pe_data.names.keys import MEDIA_TYPES, parse_object_key
from pe_data.names.uri import parse_uri
from pe_data.store.folder import FolderStore
from pe_data.trust.anchor import Floor
from pe_data.trust.client import StoreFetcher, check_metadata, refresh
from pe_data.trust.keys import KeyFile
from pe_data_gateway.audit.checkpoints import Checkpoint, read, to_bytes
from pe_data_gateway.audit.records import Entry, Head, NamedInput, chain, parse_record
from pe_data_gateway.tokens import Token, TokenFile

A, B = Sha256("a" * 64), Sha256("b" * 64)
TIME = "2026-01-31T12:00:00.000000Z"
FEW, MANY = 60, 600
Parser = Callable[[bytes], object]

MANIFEST = Manifest(
    artifact=Artifact(A, 7, MEDIA_TYPES["h5"]),
    country="us",
    dataset="areas",
    time_period=(2024,),
    entities={
        "person": Entity(
            3,
            "person_id",
            {"household": "household_id"},
            "weight",
            {"float32": ("age", "household_id", "person_id", "weight")},
        )
    },
    licence="unspecified",
    status="active",
    access="public",
    schema_version="1.0",
    inputs=inputs_of([InputFile("cps.h5", A, 9)]),
    build=Build({"python": "3.11"}, "model", "1.0", "print"),
)
COLLECTION = Collection("us", "areas", "run-1", {"states/AL": Member(A, B, 7, "h5")})
POINTER = PointerBody("local", "us", "areas", "latest", 2, A, A, B, TIME, "0" * 32)
NOMINATION = PointerBody("local", "us", "areas", "next", 2, A, A, B, TIME, "0" * 32, TIME)
STONE = Tombstone("us", "areas", A, "licence ended", TIME, "dpo@example.org", "a licence", (A, B))
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENTRY = Entry("manifest", "uk", "r", user="ada", artifact=A, inputs=(NamedInput("cps.h5", A),))
TOKEN = Token("id", A, "ada@example.org", ("uk/*", "us/areas"), TIME, TIME, None)
SIDECAR = canonical_json(
    {
        "schema_version": 2,
        "status": "completed",
        "period": 2024,
        "output": {"sha256": A, "bytes": 7},
        "rows": {"person": 3},
        "columns": [{"name": "age", "entity": "person", "dtype": "<f4", "periods": ["2024"]}],
        "inputs": [{"name": "cps.h5", "sha256": A, "bytes": 9}],
        "versions": {"python": "3.11", "policyengine-us": "1.0"},
        "fingerprint": {"digest": A},
    }
)
SIGNER = CryptoSigner.generate_ed25519()
KEY = {SIGNER.public_key.keyid: SIGNER.public_key.to_dict()}
ROOT = canonical_json({"signed": {"_type": "root", "version": 1, "keys": KEY, "delegations": {"keys": KEY}}})


def read_envelope(raw: bytes) -> object:
    document = parse_envelope(raw, payload_type=TOMBSTONE_TYPE, what="envelope")
    return Tombstone.from_bytes(document.body, what="tombstone")


def read_manifest(raw: bytes) -> object:
    return Manifest.from_bytes(unpack(raw), "manifest")


def read_data_release(raw: bytes) -> object:
    return parse_release(strict_json(raw, what="release"), "release").pins


PARSERS: dict[str, tuple[Parser, bytes]] = {
    "json": (lambda raw: strict_json(raw, what="document"), MANIFEST.to_bytes()),
    "manifest": (read_manifest, MANIFEST.to_bytes()),
    "gzipped manifest": (read_manifest, pack(MANIFEST.to_bytes() + b" " * 4096)),
    "collection": (lambda raw: Collection.from_bytes(raw, what="collection"), COLLECTION.to_bytes()),
    "pointer": (lambda raw: parse_unsigned(raw, what="pointer"), POINTER.to_bytes()),
    "nomination": (lambda raw: PointerBody.from_bytes(raw, "pointer"), NOMINATION.to_bytes()),
    "signed pointer": (
        lambda raw: parse_signed(raw, what="pointer").claimed(),
        sign(NOMINATION.to_bytes(), POINTER_TYPE, [SIGNER]).to_bytes(),
    ),
    "tombstone": (lambda raw: Tombstone.from_bytes(raw, what="tombstone"), STONE.to_bytes()),
    "envelope": (read_envelope, sign(STONE.to_bytes(), TOMBSTONE_TYPE, [SIGNER]).to_bytes()),
    "root": (lambda raw: check_metadata(raw, what="root"), ROOT),
    "data release": (read_data_release, release(2)),
    "data release, earlier": (read_data_release, earlier_release(2)),
    "audit record": (lambda raw: parse_record(raw, what="line"), at_time(NOW, chain, ENTRY, Head())[1][:-1]),
    "checkpoint": (
        lambda raw: read("000000000001.checkpoint.json", raw, "uk", None),
        to_bytes(Checkpoint("uk", Head(1, A), NOW)),
    ),
    "tokens": (lambda raw: TokenFile.from_bytes(raw, "tokens"), TokenFile((TOKEN,)).to_bytes()),
    "revocations": (
        lambda raw: RevocationList.from_bytes(raw, "list"),
        RevocationList("us", 2, TIME, TIME, {A: Ended(B, TIME)}, B).to_bytes(),
    ),
    "pin": (lambda raw: PinFile.from_bytes(raw, "pin"), PinFile("a bundle", TIME).to_bytes()),
    "key": (lambda raw: KeyFile.from_bytes(raw, "key"), KeyFile("k", {"keytype": "ed25519"}, None).to_bytes()),
    "sidecar": (
        lambda raw: manifest_from(read_sidecar(strict_json(raw, what="sidecar")), Label("us", "areas")),
        SIDECAR,
    ),
    "floor": (lambda raw: Floor.from_bytes(raw, what="floor"), Floor(2, {"us/areas": 3}).to_bytes()),
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../..", "us", "0" * 64, "9999-99-99T00:00:00Z", "\ud800", "x" * 5000]),
    st.lists(st.none() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), max_size=3),
)


def tolerant(parse: Parser, raw: bytes) -> None:
    """Any outcome is right but an exception of another family, or one that says nothing.

    What was read can be written, and is then read as the same.
    """
    message = "parsed"
    try:
        found = parse(raw)
    except PeDataError as error:
        message = str(error)
    else:
        if isinstance(found, Document):
            assert type(found).from_bytes(found.to_bytes()) == found
    assert message


@st.composite
def damaged(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid document after a few byte edits."""
    raw = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(raw) - 1, 0)))
        match draw(st.sampled_from(["flip", "cut", "double", "insert"])):
            case "flip" if raw:
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del raw[at : at + draw(st.integers(1, 40))]
            case "double":
                raw[at:at] = raw[at : at + draw(st.integers(1, 40))]
            case _:
                raw[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(raw)


@st.composite
def altered(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid document in which one value, wherever it is, is another, or gone, or has a new name."""
    document = json.loads(valid)
    holder: Any = document
    while True:
        keys = sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(st.sampled_from(keys))
        inner = holder[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            holder = inner
            continue
        match draw(st.sampled_from(["replace", "drop", "rename"])):
            case "drop":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.text(max_size=12))] = holder.pop(key)
            case _:
                holder[key] = draw(VALUES)
        return json.dumps(document).encode(errors="surrogatepass")


def bounded(count: int) -> Any:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(
        max_examples=count, deadline=None, database=None, derandomize=count == FEW, suppress_health_check=quiet
    )


def attack(parse: Parser, valid: bytes, count: int) -> None:
    parse(valid)

    @bounded(count)
    @given(st.binary(max_size=400))
    def arbitrary(raw: bytes) -> None:
        tolerant(parse, raw)

    @bounded(count)
    @given(damaged(valid))
    def byte_edits(raw: bytes) -> None:
        tolerant(parse, raw)

    @bounded(count)
    @given(altered(valid))
    def value_edits(raw: bytes) -> None:
        tolerant(parse, raw)

    arbitrary()
    byte_edits()
    if valid.startswith(b"{"):
        value_edits()


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_of_documents(name: str) -> None:
    attack(*PARSERS[name], FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARSERS)
def test_parsers_of_documents_for_longer(name: str) -> None:
    attack(*PARSERS[name], MANY)


def trust_root(folder: Path) -> tuple[Parser, bytes]:
    """The walk of a client that starts from the bytes as its root."""
    trust = make_trust(FolderStore(folder / "store"), folder)

    def start(raw: bytes) -> object:
        place = folder / "client"
        shutil.rmtree(place, ignore_errors=True)
        return refresh(place, raw, StoreFetcher(trust.store), "store:///", what="root")

    return start, trust.anchor.read_bytes()


def test_a_trust_root(tmp_path: Path) -> None:
    attack(*trust_root(tmp_path), FEW)


@pytest.mark.slow
def test_a_trust_root_for_longer(tmp_path: Path) -> None:
    attack(*trust_root(tmp_path), MANY // 10)


def addresses(count: int) -> None:
    pieces = st.sampled_from(
        ["pe-data://", "hf://", "https://", "us", "uk", "/", "//", "..", "@", "latest", "next", "stable", "sha256:", A,
         "#sha256=", "?", "%2e", "\x00", "é", "\ud800", " ", "owner", "file.h5", ":", "\\"]
    )  # fmt: skip

    @bounded(count)
    @given(st.lists(pieces, max_size=12).map("".join) | st.text(max_size=60))
    def texts(text: str) -> None:
        tolerant(lambda _: parse_uri(text), b"")
        found = parse_object_key(text)
        assert found is None or f"{found.country}/{found.sha256[:2]}/{found.sha256}" in text

    texts()


def test_addresses() -> None:
    addresses(FEW * 4)


@pytest.mark.slow
def test_addresses_for_longer() -> None:
    addresses(MANY * 4)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":1e999}',
        b'{"a":"\\ud800"}',
        b"\xff\xfe{}",
        b"",
        b'{"schema_version":1,"version":' + b"9" * 4000 + b"}",
    ],
    ids=["endless integer", "deep", "infinity", "lone surrogate", "no text", "empty", "huge version"],
)
@pytest.mark.parametrize("name", PARSERS)
def test_known_troublemakers(name: str, raw: bytes) -> None:
    tolerant(PARSERS[name][0], raw)
