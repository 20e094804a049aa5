"""What users typed first: an answer in one line, never the inside of the program, and nothing lost."""

import io
import json
import os
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import pytest
from storage_helpers import areas, make_item, publish_areas

import pe_data
from pe_data.cli import run
from pe_data.cli.output import print_json, say
from pe_data.documents.encoding import pack
from pe_data.errors import (
    ConflictError,
    InputError,
    InvalidDocumentError,
    InvalidNameError,
    ObjectNotFoundError,
    TrustRootError,
)
from pe_data.names.digests import strict_json
from pe_data.store import opening
from pe_data.store.folder import FolderStore
from pe_data.texts import printable, table
from pe_data.trust.anchor import find_anchor
from pe_data.write import publish as publishing
from pe_data.write.publish import publish_artifact


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        monkeypatch.delenv(name)
    made = FolderStore(tmp_path / "store")
    monkeypatch.setenv("PE_DATA_STORE", str(made.root))
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    publish_areas(made, areas(tmp_path / "files", "districts/NC-01", "districts/NC-02"))
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "area_2024.h5"
    with h5py.File(path, "w") as made:
        for name in ("person_id", "household_id", "person_household_id"):
            made[f"{name}/2024"] = np.arange(3)
    return path


# --- addresses ------------------------------------------------------------------------------------------


def test_a_path_object_is_a_file(store: FolderStore, file: Path) -> None:
    assert pe_data.ensure(file) == file
    assert pe_data.ensure_datasets(file) == {"area_2024": file}
    assert pe_data.ensure_datasets([file]) == {"area_2024": file}
    assert sorted(pe_data.open(file)) == ["household", "person"]
    assert list(pe_data.export(file, "csv", file.parent / "out", ["person_id"])) == ["person"]
    assert pe_data.parse_uri(PurePosixPath("a.h5")) == pe_data.parse_uri("a.h5")


@pytest.mark.parametrize("bad", [None, 7, b"a.h5", ["a.h5"], object(), 1.5])
def test_anything_else_is_refused_by_name(store: FolderStore, bad: Any) -> None:
    for call in (pe_data.ensure, pe_data.open, pe_data.resolve, pe_data.parse_uri):
        if call is pe_data.open and isinstance(bad, list):
            continue  # several addresses
        with pytest.raises(InvalidNameError, match="expected"):
            call(bad)
    if not isinstance(bad, list):
        with pytest.raises(InvalidNameError, match="expected"):
            pe_data.ensure_datasets(bad)
    with pytest.raises(InvalidNameError, match="expected"):
        pe_data.ensure_datasets([bad])


@pytest.mark.parametrize("text", ["pe-data://us/areas@latest", "https://example.org/a.h5", "hf://a/b/c.h5"])
def test_an_address_in_a_path_object_is_told_apart(store: FolderStore, text: str) -> None:
    with pytest.raises(InvalidNameError, match="a path object, which drops a slash"):
        pe_data.ensure(Path(text))


@pytest.mark.parametrize("years", [2024, [2024], (2024,), {2024}, range(2024, 2025), None, []])
def test_open_takes_years_too(store: FolderStore, file: Path, years: Any) -> None:
    assert len(pe_data.open(file, years=years)["person"]) == 3
    assert pe_data.export(file, "csv", file.parent / "out", years=years)


@pytest.mark.parametrize("asked", [{"years": [2023, 2024]}, {"years": 2023}, {"years": [2024], "year": 2023}])
def test_years_that_one_frame_cannot_have(store: FolderStore, file: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="year"):
        pe_data.open(file, **asked)


# --- the cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["5", "0.5", "", "-1GB", "1e9", "9" * 400 + "GB", "1PB"])
def test_a_size_without_a_unit_empties_nothing(
    store: FolderStore, capsys: pytest.CaptureFixture[str], size: str
) -> None:
    path = pe_data.ensure("pe-data://us/areas/districts/NC-01@latest")
    assert run(["cache", "prune", "--max-size", size]) == 2
    assert path.exists()
    assert "such as 500MB" in capsys.readouterr().err
    for whole in ("5GB", "5 gb", "1000B", "2.5MB"):
        assert run(["cache", "prune", "--max-size", whole]) == 0
        assert path.exists()
    assert run(["cache", "prune", "--max-size", "0"]) == 0
    assert not path.exists()


# --- lists ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["us/areas", "pe-data://us/areas@latest", "pe-data://us/areas"])
def test_list_takes_what_every_other_command_takes(
    store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    publish_artifact(store, make_item(tmp_path / "files", "other", b"\x89HDF", dataset="other"))
    assert run(["list", what]) == 0
    out = capsys.readouterr().out
    assert "districts/NC-01" in out
    assert "districts/NC-02" in out
    assert "other" not in out


@pytest.mark.parametrize(
    "what",
    ["pe-data://us/areas/districts/NC-01@latest", f"pe-data://us/areas@sha256:{'a' * 64}", "US", "us//", "../x", "u"],
)
def test_list_of_anything_else_says_what_it_takes(
    store: FolderStore, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert run(["list", what]) == 2
    err = capsys.readouterr().err
    assert "expected" in err
    assert "not a key of this store" not in err


def test_an_empty_list_says_where_it_looked(
    store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list", "--store", str(tmp_path / "empty")]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "empty") in out
    assert "PE_DATA_STORE" in out


# --- messages -------------------------------------------------------------------------------------------


def test_a_shared_manifest_is_no_problem(
    store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.h5").write_bytes(file.read_bytes())
    assert run(["publish", str(file), "us/first", "--licence", "CC0-1.0"]) == 0
    assert run(["publish", str(folder), "us/run"]) == 2
    assert "such as --run-id 2026-01-31" in capsys.readouterr().err
    assert run(["publish", str(folder), "us/run", "--run-id", "r1"]) == 0
    assert "(nothing is wrong): a, b" in capsys.readouterr().out


def test_a_reader_is_not_told_to_make_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PE_DATA_TRUST_ROOT", raising=False)
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(TrustRootError) as caught:
        find_anchor()
    err = str(caught.value)
    assert err.index("get the root.json of the people who sign") < err.index("root init")
    assert "Only who runs a store of their own" in err


def test_a_publication_that_lost_against_a_collection_says_what_to_do(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise ObjectNotFoundError(f"{store.url}: us/aa/x.manifest.json: there is no such object")

    monkeypatch.setattr(publishing, "move", gone)
    with pytest.raises(ConflictError, match=r"as a garbage collection does .*Publish again"):
        publish_areas(store, areas(tmp_path / "more", "districts/NC-03"), "r2")
    with pytest.raises(ConflictError, match="Publish again"):
        publish_artifact(store, make_item(tmp_path / "files", "one", b"\x89HDF1", dataset="one"))


def test_compressed_json_is_called_so() -> None:
    with pytest.raises(InvalidDocumentError, match="expected JSON, found bytes of gzip"):
        strict_json(pack(b'{"a":1}' + b" " * 4096), what="pointer")


@pytest.mark.parametrize(("variable", "scheme"), [("AWS", "s3"), ("AZURE", "az"), ("GOOGLE", "gs")])
def test_the_clouds_own_word_about_plain_http_counts(
    monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    """As every other program that uses the same library takes it."""
    seen: list[dict[str, Any]] = []

    def client(*_: object, client_options: dict[str, Any], **__: object) -> None:
        seen.append(client_options)
        raise ValueError("enough")

    for name in ("S3Store", "AzureStore", "GCSStore"):
        monkeypatch.setattr(opening, name, client)
    for value, expected in (("true", True), ("1", True), ("false", None), ("", None)):
        monkeypatch.setenv(f"{variable}_ALLOW_HTTP", value)
        with pytest.raises(Exception, match="enough"):
            opening.open_store(f"{scheme}://bucket/prefix")
        assert seen[-1].get("allow_http") is expected


# --- the terminal ---------------------------------------------------------------------------------------

ESCAPES = ["\x1b]0;owned\x07", "a\rb", "\x9b2J", "‮cod", "\x00", "\ud800", "\x7f", "a\nb", "\t"]


@pytest.mark.parametrize("text", ESCAPES)
def test_text_of_others_moves_no_cursor(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(text).isprintable()
    assert all(line.isprintable() for line in table(("a", "b"), [(text, "c")]))
    assert len(table(("a", "b"), [(text, "c")])) == 2
    say(f"one\ntwo {text}")
    print_json({"text": text, text: 1})
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    document = json.loads(out[out.index("{") :])
    assert document == {"text": text, text: 1}


def test_what_is_no_number_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"mean": float("nan"), "most": float("inf")})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"mean": None, "most": None}


def test_a_number_of_numpy_is_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"mean": np.float64(1.5), "at": Path("a")})
    assert json.loads(capsys.readouterr().out) == {"mean": 1.5, "at": "a"}


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("licence, with: marks", "Ärzte in Münster", "日本", "a b"):
        assert printable(text) == text


@pytest.mark.parametrize("command", [["schema"], ["schema", "--json"], ["list", "us"]])
def test_escapes_in_a_manifest_do_not_reach_the_terminal(
    store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    from storage_helpers import replace

    item = make_item(tmp_path / "files", "odd", b"\x89HDF odd", dataset="odd")
    odd = replace(
        item.manifest, licence="CC\x1b]0;owned\x07\r", build=replace(item.manifest.build, tools={"\x9b": "1"})
    )
    publish_artifact(store, replace(item, manifest=odd))
    arguments = command if command[0] == "list" else [*command, "pe-data://us/odd@latest"]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\r", "\x9b"}


def test_errors_and_warnings_are_cleaned_too(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(["ensure", "./\x1b[2Jnone.h5"]) in (1, 2)
    assert "\x1b" not in capsys.readouterr().err


def test_the_hub_does_not_shout(monkeypatch: pytest.MonkeyPatch, store: FolderStore) -> None:
    import logging

    hub = pytest.importorskip("huggingface_hub")
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logger = logging.getLogger("huggingface_hub.utils._http")
    logger.addHandler(handler)

    def download(*_: object, **__: object) -> str:
        logger.warning("'thrown while requesting HEAD'")
        raise hub.errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(hub, "hf_hub_download", download)
    before = logging.getLogger("huggingface_hub").level
    try:
        with pytest.raises(Exception, match="the hub did not answer"):
            pe_data.ensure("hf://a/b/c.h5@main")
    finally:
        logger.removeHandler(handler)
    assert heard.getvalue() == ""
    assert logging.getLogger("huggingface_hub").level == before
