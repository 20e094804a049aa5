"""The command line for reading: output, JSON, exit codes, one line per error."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from fetch_helpers import WebServer
from storage_helpers import NOW, at_time, make_item

import pe_data
from pe_data.cli import app, run
from pe_data.describe.file import Label, describe
from pe_data.documents.manifest import Build
from pe_data.store.folder import FolderStore
from pe_data.write.publish import publish_collection
from pe_data.write.upload import Item

AREA = "pe-data://us/areas/districts/NC-01@latest"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PE_DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PE_DATA_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PE_DATA_STORE", str(tmp_path / "store"))
    for name in ("PE_DATA_MIRRORS", "PE_DATA_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def store(tmp_path):
    store = FolderStore(tmp_path / "store")
    path = tmp_path / "NC-01.h5"
    with h5py.File(path, "w") as file:
        file["person_id/2024"] = np.arange(4)
        file["age/2024"] = np.arange(4, dtype=np.float32)
    build = Build(model_package="pytest", model_version=pytest.__version__)
    items = {
        "districts/NC-01": Item(path, describe(path, Label("us", "areas", build=build))),
        "states/NC": make_item(tmp_path, "b", b"b"),
    }
    at_time(NOW, publish_collection, store, items, country="us", dataset="areas", run_id="r")
    return tmp_path / "store"


def pe(capsys, *arguments):
    code = run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list(store, capsys):
    code, out, _ = pe(capsys, "list")
    assert code == 0
    assert out.splitlines()[1].split()[:4] == ["us/areas@latest", "v1", "2024", "2"]
    assert "districts/NC-01" in pe(capsys, "list", "us", "--search", "nc-01")[1]
    assert "no name holds 'zzz'" in pe(capsys, "list", "--search", "zzz")[1]
    document = json.loads(pe(capsys, "list", "us", "--members", "--json")[1])["datasets"]
    assert [member["name"] for member in document[0]["members"]] == ["districts/NC-01", "states/NC"]


def test_resolve_and_ensure(store, tmp_path, capsys):
    target = json.loads(pe(capsys, "resolve", AREA, "--json")[1])
    assert target["version"] == 1
    assert not list((tmp_path / "cache").rglob("*.h5"))
    assert target["pinned"] in pe(capsys, "resolve", AREA)[1]
    code, out, err = pe(capsys, "ensure", AREA, target["pinned"])
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first == second
    assert target["artifact_sha256"] in first
    document = json.loads(pe(capsys, "ensure", "--json", AREA)[1])
    assert document == {AREA: first}


def test_schema(store, capsys):
    code, out, _ = pe(capsys, "schema", AREA)
    assert code == 0
    assert "person" in out
    assert "age" in out
    assert "float32" in out
    assert f"pytest {pytest.__version__}" in out
    assert "person_id" not in pe(capsys, "schema", AREA, "--search", "ag")[1]
    assert json.loads(pe(capsys, "schema", AREA, "--json")[1])["country"] == "us"
    croissant = json.loads(pe(capsys, "schema", AREA, "--format", "croissant")[1])
    assert croissant["distribution"][0]["contentUrl"].endswith(".h5")
    package = json.loads(pe(capsys, "schema", AREA, "--format", "frictionless")[1])
    assert package["resources"][0]["name"] == "person"


def test_export(store, tmp_path, capsys):
    code, out, _ = pe(capsys, "export", AREA, "--to", "csv", "--out", str(tmp_path / "o"))
    assert code == 0
    assert out.strip() == str(tmp_path / "o" / "person.csv")
    arguments = ("--to", "parquet", "--out", str(tmp_path / "o"), "--variables", "age")
    document = json.loads(pe(capsys, "export", AREA, *arguments, "--json")[1])
    assert document == {"person": str(tmp_path / "o" / "person.parquet")}


def test_cache(store, tmp_path, capsys):
    path = pe(capsys, "ensure", AREA)[1].strip()
    assert "2 files" in pe(capsys, "cache", "list")[1]
    entries = json.loads(pe(capsys, "cache", "list", "--json")[1])["entries"]
    assert path in {entry["path"] for entry in entries}
    assert pe(capsys, "cache", "verify")[:2] == (0, "2 files checked, 0 wrong\n")
    target = next((tmp_path / "cache").rglob("*.h5"))
    target.chmod(0o644)
    target.write_bytes(b"?")
    code, out, _ = pe(capsys, "cache", "verify", "--json")
    assert code == 1
    assert len(json.loads(out)["removed"]) == 1
    pe(capsys, "ensure", AREA)
    assert "would remove 1 files" in pe(capsys, "cache", "prune", "--max-size", "0", "--dry-run")[1]
    assert json.loads(pe(capsys, "cache", "prune", "--max-size", "0.1KB", "--json")[1])["kept_bytes"] == 0
    assert pe(capsys, "cache", "prune", "--max-size", "lots")[0] == 2


def test_staleness_exit_codes(store, tmp_path, capsys):
    assert pe(capsys, "staleness", "--country", "us")[0] == 2
    pe(capsys, "ensure", AREA)
    code, out, _ = pe(capsys, "staleness", "--country", "us")
    assert (code, out.splitlines()[-1]) == (0, "overall: current")
    items = {"districts/NC-01": make_item(tmp_path, "new", b"new")}
    what = {"country": "us", "dataset": "areas", "run_id": "r2"}
    at_time(NOW, publish_collection, FolderStore(store), items, **what, allow_removal=True)
    code, out, _ = pe(capsys, "staleness", "--country", "us", "--json")
    assert (code, json.loads(out)["state"]) == (1, "stale")
    assert pe(capsys, "staleness")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("ensure", "pe-data://us/areas"), 2, "reference: expected"),
        (("ensure", "pe-data://us/areas@stable"), 2, "release bundles"),
        (("ensure", "pe-data://us/areas@next"), 1, "pe-data root init"),
        (("ensure", "pe-data://us/none@latest"), 1, "pe-data list"),
        (("ensure", "pe-data://us/areas/districts/NC-99@latest"), 1, "Did you mean"),
        (("ensure", "none.h5"), 1, "expected a file, found nothing"),
        (("schema", "pe-data://us/areas@latest", "--format", "croissant"), 1, "Name a member"),
        (("ensure", "us/areas"), 1, "Did you mean pe-data://us/areas@latest?"),
        (("ensure", "us/areas/districts/NC-01"), 1, "Did you mean pe-data://us/areas/districts/NC-01@latest?"),
        (("ensure", "us/areas@next"), 1, "Did you mean pe-data://us/areas@next?"),
        (("resolve", "us/areas"), 2, "Did you mean pe-data://us/areas@latest?"),
        (("ensure", "pe-data:us/areas@latest"), 2, "Did you mean pe-data://us/areas@latest?"),
        (("ensure", "pe-data:/us/areas"), 2, "Did you mean pe-data://us/areas@latest?"),
        (("ensure", "pe-data://us/areas"), 2, "Did you mean pe-data://us/areas@latest?"),
        (("ensure", AREA, "--store", "ftp://x"), 2, "unknown scheme"),
        (("ensure", AREA, "--store", "https://127.0.0.1:9/x", "--offline"), 1, "forbidden"),
        (("staleness", "--country", "USA!"), 2, "country: expected"),
        (("resolve", "hf://a/b/c.h5"), 2, "expected pe-data://"),
    ],
)
def test_errors_are_one_line(store, capsys, arguments, code, text):
    found, out, err = pe(capsys, *arguments)
    assert found == code
    assert out == ""
    assert err.startswith("pe-data: error: ")
    assert text in err
    assert err.count("\n") == 1


def test_warnings_are_lines_on_standard_error(store, capsys):
    with WebServer(store) as server:
        path = pe(capsys, "ensure", AREA, "--store", server.url)[1]
        arguments = ("ensure", AREA, "--store", server.url, "--offline")
        assert pe(capsys, *arguments)[0] == 1
        code, out, err = pe(capsys, *arguments, "--allow-stale")
    assert (code, out) == (0, path)
    assert err.startswith("pe-data: warning: ")
    assert "STALE" in err
    assert err.count("\n") == 1


def test_the_program_never_shows_a_traceback(store, tmp_path):
    program = "from pe_data.cli import main; main()"
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    for arguments in (["ensure", AREA, "--cache", str(blocked)], ["list", "--store", "http://127.0.0.1:9"]):
        result = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode != 0
        assert "Traceback" not in result.stderr
        assert result.stderr.startswith("pe-data: error: ")


def test_every_command_teaches_by_example(capsys):
    for name in app.list_commands(None):
        code, out, _ = pe(capsys, name, "--help")
        assert code == 0
        assert f"pe-data {name}" in out.partition("Usage:")[2].partition("\n")[2], name
    assert "Exit codes" in pe(capsys, "--help")[1]


def test_schema_of_a_collection_shows_it(store, capsys):
    shown = pe(capsys, "schema", "pe-data://us/areas@latest")[1]
    assert "us/areas" in shown
    assert "districts/NC-01" in shown
    document = json.loads(pe(capsys, "schema", "pe-data://us/areas@latest", "--json")[1])
    assert "districts/NC-01" in document["members"]
    assert document["run_id"]
    none = json.loads(pe(capsys, "schema", "pe-data://us/areas@latest", "--json", "--search", "NY")[1])
    assert none["members"] == {}


def test_list_of_an_address_lists_its_members(store, capsys):
    assert "districts/NC-01" in pe(capsys, "list", "pe-data://us/areas@latest")[1]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(("ensur", "x"), "ensure"), (("chanel", "show"), "channel"), (("cache", "prun"), "prune"), (("pin", "ad"), "add")],
)
def test_a_misspelt_command_is_answered_with_the_closest(capsys, arguments, meant):
    code, _, err = pe(capsys, *arguments)
    assert code == 2
    assert f"Did you mean {meant}" in err


def test_a_command_that_nothing_is_like(capsys):
    code, _, err = pe(capsys, "xyzzy")
    assert code == 2
    assert "pe-data --help" in err


def test_help_has_sections(capsys):
    out = pe(capsys, "--help")[1]
    assert [out.index(f"\n{title}:") for title in ("Read", "Publish", "Look after", "Trust")] == sorted(
        out.index(f"\n{title}:") for title in ("Read", "Publish", "Look after", "Trust")
    )
    assert out.index("  ensure") < out.index("\nPublish:") < out.index("  promote") < out.index("\nLook after:")


@pytest.mark.parametrize("before", [True, False])
def test_quiet_and_verbose(store, capsys, before):
    def said(flag, *arguments):
        return pe(capsys, *((flag, *arguments) if before else (*arguments, flag)))

    with WebServer(store) as server:
        pe(capsys, "ensure", AREA, "--store", server.url)
        stale = ("ensure", AREA, "--store", server.url, "--offline", "--allow-stale")
        assert "warning" in pe(capsys, *stale)[2]
        code, out, err = said("-q", *stale)
        assert (code, err) == (0, "")
        assert out
        assert said("-q", "ensure", "none.h5")[2].startswith("pe-data: error: ")
    assert "pe-data: info: " in said("-v", "resolve", AREA)[2]
    assert pe(capsys, "resolve", AREA)[2] == ""


def test_the_library_uses_the_standard_logger(store, capsys, caplog):
    """A program that uses the library sees the same records under the name `pe_data`."""
    with caplog.at_level("INFO", logger="pe_data"):
        pe_data.ensure(AREA, store=str(store))
    assert any(record.name.startswith("pe_data") for record in caplog.records)


def test_staleness_tells_a_failed_check_from_stale_data(store, tmp_path, capsys):
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    assert pe(capsys, "staleness", "pe-data://us/areas@latest", "--cache", str(blocked / "below"))[0] in (2, 3)


def test_one_digest_is_of_one_file(store, capsys):
    code, _, err = pe(capsys, "ensure", AREA, AREA, "--sha256", "0" * 64)
    assert code == 2
    assert "one file" in err


def test_completion_knows_the_commands(monkeypatch, capsys):
    from click.shell_completion import ShellComplete

    words = {item.value for item in ShellComplete(app, {}, "pe-data", "_PE_DATA_COMPLETE").get_completions([], "")}
    assert words >= {"ensure", "publish", "fsck", "root"}
    below = ShellComplete(app, {}, "pe-data", "_PE_DATA_COMPLETE").get_completions(["channel"], "")
    assert {item.value for item in below} >= {"show", "set", "history"}


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("pe-data://us/area@latest", "Did you mean us/areas?"),
        ("pe-data://us/aeras/districts/NC-01@latest", "Did you mean us/areas?"),
        ("pe-data://us/Areas@latest", "Did you mean areas?"),
        ("pe-data://us/areas/districts/nc-1@latest", "Did you mean districts/NC-01?"),
        ("pe-data://us/areas/districts/NC_01@latest", "Did you mean districts/NC-01?"),
        ("pe-data://us/zzzzzz@latest", "`pe-data list` shows what was"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_closest(store, capsys, address, meant):
    code, _, err = pe(capsys, "ensure", address)
    assert code in (1, 2)
    assert meant in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["list", ""], ["us/areas"]),
        (["list", "US/AR"], ["us/areas"]),
        (["resolve", "pe-data://us/"], ["pe-data://us/areas@latest"]),
        (["resolve", "//us/"], ["//us/areas@latest"]),
        (["resolve", "pe-data://us/areas/dis"], ["pe-data://us/areas/districts/NC-01@latest"]),
        (["ensure", "pe-data://us/areas/districts/nc_01"], ["pe-data://us/areas/districts/NC-01@latest"]),
        (["ensure", "pe"], ["pe-data://us/areas@latest"]),
        (["resolve", "pe-data://zz/"], []),
    ],
)
def test_a_shell_completes_datasets_and_members(store, words, found):
    from click.shell_completion import ShellComplete

    complete = ShellComplete(app, {}, "pe-data", "_PE_DATA_COMPLETE")
    assert [item.value for item in complete.get_completions(words[:-1], words[-1])] == found


def test_a_shell_is_not_made_to_wait_for_a_network(monkeypatch):
    from click.shell_completion import ShellComplete

    monkeypatch.setenv("PE_DATA_STORE", "https://store.invalid/data")
    complete = ShellComplete(app, {}, "pe-data", "_PE_DATA_COMPLETE")
    assert complete.get_completions(["resolve"], "pe-data://us/") == []
