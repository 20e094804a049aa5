"""The address grammar: what is accepted, and which part an error names."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pe_data.errors import InvalidNameError, PeDataError
from pe_data.names.uri import HubUri, PathUri, StoreUri, WebUri, parse_store_uri, parse_uri

SHA = "4e92" * 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "pe-data://us/enhanced_cps_2024@latest",
            StoreUri("us", "enhanced_cps_2024", None, "latest", None),
        ),
        ("pe-data://us/x@next", StoreUri("us", "x", None, "next", None)),
        (f"pe-data://uk/frs@sha256:{SHA}", StoreUri("uk", "frs", None, None, SHA)),
        (
            "pe-data://us/local_areas/districts/NC-01@latest",
            StoreUri("us", "local_areas", "districts/NC-01", "latest", None),
        ),
        (
            "hf://policyengine/policyengine-us-data/enhanced_cps_2024.h5@1.2.3",
            HubUri(
                "policyengine",
                "policyengine-us-data",
                "enhanced_cps_2024.h5",
                "1.2.3",
                "model",
                None,
            ),
        ),
        ("hf://o/r/f.h5", HubUri("o", "r", "f.h5", "main", "model", None)),
        ("hf://dataset/o/r/a/f.h5@v1", HubUri("o", "r", "a/f.h5", "v1", "dataset", None)),
        ("hf://datasets/o/r/a/f.h5@v1", HubUri("o", "r", "a/f.h5", "v1", "dataset", None)),
        ("hf://models/o/r/f.h5@v1", HubUri("o", "r", "f.h5", "v1", "model", None)),
        ("hf://dataset/o/r@v1/a/f.h5", HubUri("o", "r", "a/f.h5", "v1", "dataset", None)),
        ("hf://datasets/o/r@v1/f.h5", HubUri("o", "r", "f.h5", "v1", "dataset", None)),
        ("hf://model/o/r@1.2.3/f.h5", HubUri("o", "r", "f.h5", "1.2.3", "model", None)),
        (f"hf://dataset/o/r@v1/f.h5#sha256={SHA}", HubUri("o", "r", "f.h5", "v1", "dataset", SHA)),
        ("hf://dataset/o/r/f.h5@refs/pr/1", HubUri("o", "r", "f.h5", "refs/pr/1", "dataset", None)),
        ("hf://model/o/r/f.h5@v1", HubUri("o", "r", "f.h5", "v1", "model", None)),
        (f"hf://o/r/f.h5@v1#sha256={SHA}", HubUri("o", "r", "f.h5", "v1", "model", SHA)),
        ("https://example.org/a/f.h5", WebUri("https://example.org/a/f.h5", None)),
        (f"https://example.org/f.h5#sha256={SHA}", WebUri("https://example.org/f.h5", SHA)),
        ("data/file.h5", PathUri(Path("data/file.h5"), None)),
        ("/data/odd#name.h5", PathUri(Path("/data/odd#name.h5"), None)),
        (f"file.h5#sha256={SHA}", PathUri(Path("file.h5"), SHA)),
    ],
)
def test_accepts(text, expected):
    assert parse_uri(text) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "address"),
        (" pe-data://us/x@latest", "address"),
        ("pe-data://us/x@latest\n", "address"),
        ("pe-data:us/x@latest", "scheme"),
        ("PE-DATA://us/x@latest", "scheme"),
        ("s3://bucket/x", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("pe-data://us/x", "reference"),
        ("pe-data://us/x@", "reference"),
        ("pe-data://us/x@latest@latest", "reference"),
        ("pe-data://us@latest", "dataset"),
        ("pe-data://us/@latest", "dataset"),
        ("pe-data://US/x@latest", "country"),
        ("pe-data:///x@latest", "country"),
        ("pe-data://../x@latest", "country"),
        ("pe-data://us/Enhanced-CPS@latest", "dataset"),
        ("pe-data://us/..@latest", "dataset"),
        ("pe-data://us/x/@latest", "member"),
        ("pe-data://us/x/a//b@latest", "member"),
        ("pe-data://us/x/../y@latest", "member"),
        ("pe-data://us/x/%2e%2e@latest", "percent-encoding"),
        ("pe-data://us/x@latest?a=1", "query"),
        ("pe-data://us/x@latest#a", "fragment"),
        ("pe-data://us/x@sha256:abc", "sha256"),
        (f"pe-data://us/x@sha256:{SHA.upper()}", "sha256"),
        (f"pe-data://us/x@sha256:{SHA}0", "sha256"),
        (f"pe-data://us/x@sha256={SHA}", "reference"),
        ("hf://owner", "repository"),
        ("hf://", "owner"),
        ("hf://owner/repo", "file"),
        ("hf://dataset/owner/repo", "file"),
        ("hf://datasets/owner/repo@v1", "file"),
        ("hf://datasets/owner/repo@v1/", "file"),
        ("hf://datasets/owner/repo@v1/../f.h5", "file"),
        ("hf://datasets/owner/repo@/f.h5", "revision"),
        ("hf://ow ner/repo/f.h5", "owner"),
        ("hf://owner/re@po/f.h5", "file"),
        ("hf://owner/repo/../f.h5", "file"),
        ("hf://owner/repo/f.h5@", "revision"),
        ("hf://owner/repo/f.h5@a b", "revision"),
        ("hf://owner/repo/f.h5#md5=1", "fragment"),
        ("https://example.org", "file"),
        ("https:///f.h5", "host"),
        ("https://user:secret@example.org/f.h5", "host"),
        ("https://example.org/f.h5#sha256=12", "sha256"),
    ],
)
def test_error_names_the_part(text, part):
    with pytest.raises(InvalidNameError) as caught:
        parse_uri(text)
    message = str(caught.value)
    assert f" {part}" in message
    assert "expected" in message
    assert "found" in message


def test_credentials_are_not_repeated():
    with pytest.raises(InvalidNameError) as caught:
        parse_uri("https://user:secret@example.org/f.h5")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("channel", ["stable", "lts-2024", "lts"])
def test_channels_of_release_bundles_say_where_they_live(channel):
    with pytest.raises(InvalidNameError, match="release bundles") as caught:
        parse_uri(f"pe-data://us/x@{channel}")
    assert repr(channel) in str(caught.value)


def test_unknown_channel_lists_the_valid_ones():
    with pytest.raises(InvalidNameError, match="latest, next"):
        parse_uri("pe-data://us/x@newest")


def test_store_uri_refuses_other_kinds():
    with pytest.raises(InvalidNameError, match="pe-data://"):
        parse_store_uri("https://example.org/f.h5")


NAMES = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)
MEMBERS = st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), max_size=3)


@given(NAMES, MEMBERS, st.sampled_from(["latest", "next", f"sha256:{SHA}"]))
def test_text_and_value_are_inverse(dataset, member, reference):
    segments = [segment for segment in member if not segment.startswith("-")]
    text = "/".join([f"pe-data://us/{dataset}", *segments]) + f"@{reference}"
    assert str(parse_uri(text)) == text


@given(st.text(max_size=60))
def test_any_text_parses_or_gives_our_error(text):
    for candidate in (text, f"pe-data://{text}", f"hf://{text}", f"https://{text}"):
        with contextlib.suppress(PeDataError):
            parse_uri(candidate)
