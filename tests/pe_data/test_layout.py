"""Names and digests: what is accepted, what is refused, and that no key leaves its prefix."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pe_data.errors import (
    InvalidDocumentError,
    InvalidNameError,
    PeDataError,
)
from pe_data.names import keys as layout
from pe_data.names.digests import (
    canonical_json,
    parse_sha256,
    sha256_bytes,
    sha256_file,
    sha256_pieces,
    strict_json,
)
from pe_data.store.folder import FolderStore
from pe_data.store.opening import open_store

DIGEST = "4e" + "0" * 62


def test_keys_are_those_of_the_specification() -> None:
    assert layout.payload_key("us", DIGEST, "h5") == f"us/4e/{DIGEST}.h5"
    assert layout.payload_key("uk", DIGEST, "parquet") == f"uk/4e/{DIGEST}.parquet"
    assert layout.manifest_key("us", DIGEST) == f"us/4e/{DIGEST}.manifest.json"
    assert layout.collection_key("us", DIGEST) == f"us/4e/{DIGEST}.collection.json"
    assert layout.tombstone_key("us", DIGEST) == f"us/4e/{DIGEST}.tombstone.json"
    assert layout.channel_key("us", "cps_2024", "latest") == "channels/us/cps_2024/latest.json"
    assert layout.channel_key("us", "cps_2024", "next") == "channels/us/cps_2024/next.json"


def test_keys_are_read_back() -> None:
    parsed = layout.parse_object_key(f"us/4e/{DIGEST}.parquet")
    assert parsed == layout.ObjectKey("us", DIGEST, layout.ObjectKind.PAYLOAD, "parquet")  # type: ignore[arg-type]
    kinds = {
        layout.manifest_key("us", DIGEST): layout.ObjectKind.MANIFEST,
        layout.collection_key("us", DIGEST): layout.ObjectKind.COLLECTION,
        layout.tombstone_key("us", DIGEST): layout.ObjectKind.TOMBSTONE,
    }
    for key, kind in kinds.items():
        found = layout.parse_object_key(key)
        assert found is not None
        assert (found.kind, found.extension) == (kind, None)
    for other in (
        f"us/4f/{DIGEST}.h5",
        f"us/4e/{DIGEST}.csv",
        f"us/4e/{DIGEST}.h5.tmp",
        "channels/us/x/latest.json",
        layout.pin_key("us", DIGEST),
    ):
        assert layout.parse_object_key(other) is None


@pytest.mark.parametrize("name", ["stable", "lts-2026", "lts"])
def test_bundle_channels_are_told_where_they_live(name: str) -> None:
    with pytest.raises(InvalidNameError, match=f"'{name}' does not exist here.*release bundles"):
        layout.check_channel(name)


@pytest.mark.parametrize("name", ["", "Latest", "latest ", "../latest", "newest"])
def test_other_channels_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="expected one of latest, next"):
        layout.check_channel(name)


EVIL = ("", ".", "..", "../us", "us/..", "a b", "a\\b", "a\n", "%2e%2e", "ü", "~", "a/../b", "a//b", "/a", "a/", ".a")


@pytest.mark.parametrize("name", EVIL)
def test_no_name_leaves_its_place(name: str) -> None:
    for check in (layout.check_country, layout.check_dataset, layout.check_member):
        with pytest.raises(InvalidNameError, match=r"expected|segment"):
            check(name)
    for make in (layout.payload_key, layout.manifest_key):
        with pytest.raises(InvalidNameError):
            make("us", name, *(["h5"] if make is layout.payload_key else []))
    with pytest.raises(InvalidNameError):
        layout.payload_key("us", DIGEST, name)
    with pytest.raises(InvalidNameError):
        layout.channel_key("us", name, "latest")
    with pytest.raises(InvalidNameError):
        layout.channel_key(name, "d", "latest")


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_accepted_member_is_a_plain_relative_path(name: str) -> None:
    try:
        layout.check_member(name)
    except InvalidNameError:
        return
    root = Path("/srv/folder")
    assert (root / name).resolve().is_relative_to(root)
    assert name == (root / name).resolve().relative_to(root).as_posix()


@pytest.mark.parametrize("name", ["NC-01", "districts/NC-01", "a.b_c/D-1.x", "_x"])
def test_members_of_area_runs(name: str) -> None:
    assert layout.check_member(name) == name


@pytest.mark.parametrize("text", ["", "4E" + "0" * 62, "0" * 63, "0" * 65, "0" * 63 + "g", "0" * 64 + "\n"])
def test_digests_are_checked(text: str) -> None:
    with pytest.raises(InvalidNameError, match="expected 64 lower-case hexadecimal digits"):
        parse_sha256(text)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=5))
def test_pieces_have_the_digest_of_the_whole(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert sha256_pieces(pieces) == (sha256_bytes(whole), len(whole))


def test_a_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256_file(path) == sha256_bytes(b"x" * 3_000_000)


documents = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(max_size=5)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(deadline=None)
@given(documents)
def test_canonical_json_reads_back_and_is_stable(document: dict[str, object]) -> None:
    raw = canonical_json(document)
    assert strict_json(raw, what="x") == json.loads(raw)
    assert canonical_json(strict_json(raw, what="x")) == raw
    assert canonical_json(dict(reversed(document.items()))) == raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' stands twice"),
        (b'{"b": {"a": 1, "a": 1}}', "key 'a' stands twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b"[1]", "expected a JSON object, found list"),
        (b"{} {}", "not readable as JSON"),
        (b"", "not readable as JSON"),
        (b"\xff\xfe", "not readable as JSON"),
        (b"[" * 100_000, "not readable as JSON"),
    ],
)
def test_strict_json(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidDocumentError, match=f"doc: .*{message}"):
        strict_json(raw, what="doc")
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "is empty"),
        ("ftp://host/x", "unknown scheme 'ftp'"),
        ("s3://", "expected a bucket, container or host"),
        ("file://folder", "three slashes"),
        ("https://user:secret@host/x", "no user, query or fragment"),
        ("s3://bucket/x?token=secret", "no user, query or fragment"),
    ],
)
def test_store_addresses(url: str, message: str) -> None:
    with pytest.raises(InvalidNameError, match=message) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


def test_all_schemes_open_without_a_network(tmp_path: Path) -> None:
    keys = {"access_key_id": "x", "secret_access_key": "x", "region": "x"}
    azure = {"account_name": "x", "account_key": "eA=="}
    for url, options in {
        "s3://bucket/prefix": keys,
        "gs://bucket/prefix": {"skip_signature": "true"},
        "az://container/prefix": azure,
        "https://host/prefix": {},
        "http://host/prefix": {},
        "memory://": {},
        f"file://{tmp_path}": {},
    }.items():
        assert open_store(url, options=options).url.rstrip("/") in (url.rstrip("/"), str(tmp_path))
    assert isinstance(open_store("~/x"), FolderStore)
    assert "~" not in open_store("~/x").url
    with pytest.raises(InvalidNameError, match="s3://bucket"):
        open_store("s3://bucket", options={"no_such_setting": "1"})


def test_every_error_is_of_one_family() -> None:
    from pe_data import errors

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
    ]
    assert len(kinds) > 15
    assert all(issubclass(kind, PeDataError) for kind in kinds)
