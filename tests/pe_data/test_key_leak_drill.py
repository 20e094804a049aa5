"""A key leaks: ten commands from nothing to the old key being refused, as docs/security-keys.md tells it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from trust_helpers import validation_record, variables

from pe_data.cli import run
from pe_data.names.digests import sha256_file
from pe_data.names.keys import channel_key
from pe_data.store.folder import FolderStore


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A machine with nothing on it, except the file that is to be published and its validation record."""
    (tmp_path / "us_2024.h5").write_bytes(Path(__file__).with_name("column_names.txt").read_bytes())
    settings = {
        "PE_DATA_STORE": str(tmp_path / "store"),
        "PE_DATA_CACHE": str(tmp_path / "owner"),
        "PE_DATA_KEYS": str(tmp_path / "keys"),
        "PE_DATA_KEY_PASSPHRASE": "correct horse",
        "PE_DATA_CONFIG": str(tmp_path / "none.toml"),
        "PE_DATA_TRUST_ROOT": str(tmp_path / "anchor"),
    }
    with variables(settings):
        yield tmp_path


def make_data(path: Path) -> None:
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        for name in ("person_id", "household_id", "age"):
            file.create_dataset(f"{name}/2024", data=np.arange(3))


def test_ten_commands_from_nothing_to_a_refused_key(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, record = place / "us_2024.h5", place / "record.json"
    make_data(data)
    record.write_text(validation_record(sha256_file(data)))
    commands: list[str] = []

    def pe_data(line: str, expected: int = 0) -> str:
        commands.append(line)
        code = run(line.split())
        out = capsys.readouterr()
        assert code == expected, out.err
        return out.out + out.err

    pe_data("key new owner alice carol")
    pe_data(f"root init --role root=owner --role next-us=alice --key owner --anchor {place}/anchor")
    pe_data(f"publish {data} us/us_2024 --licence CC0-1.0 --validation {record}")
    pe_data("promote us/us_2024 --from latest --key alice")
    reader = f"ensure pe-data://us/us_2024@next --cache {place}/reader"
    first = pe_data(reader)  # another machine, which now knows version 1 of the root
    # Somebody has alice's key.
    pe_data("root rotate --replace alice=carol --key owner")
    refused = pe_data(reader, 1)
    pe_data("promote us/us_2024 --key carol")
    assert pe_data(reader) == first  # the same machine, with the same anchor
    old_key = pe_data("promote us/us_2024 --key alice", 1)
    assert len(commands) <= 10
    assert "which the role does not have" in refused
    assert "which the role does not have" in old_key

    shown = json.loads(pe_data("root show --json"))
    assert shown["version"] == 2
    assert "trust root version 2" in pe_data("root verify")


def test_a_pointer_by_the_leaked_key_is_refused_by_every_client(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The thief need not ask `promote`: the bucket is open to them."""
    data, record = place / "us_2024.h5", place / "record.json"
    make_data(data)
    record.write_text(validation_record(sha256_file(data)))
    for line in (
        "key new owner alice carol",
        f"root init --role root=owner --role next-us=alice --key owner --anchor {place}/anchor",
        f"publish {data} us/us_2024 --licence CC0-1.0 --validation {record}",
        "promote us/us_2024 --key alice",
        f"ensure pe-data://us/us_2024@next --cache {place}/old-client",
    ):
        assert run(line.split()) == 0
    store = FolderStore(place / "store")
    by_the_thief = store.get(channel_key("us", "us_2024", "next")).data
    assert run(["root", "rotate", "--replace", "alice=carol", "--key", "owner"]) == 0
    assert run(["promote", "us/us_2024", "--key", "carol"]) == 0
    key = channel_key("us", "us_2024", "next")
    store.put_swap(key, by_the_thief, store.head(key).token)
    capsys.readouterr()
    for client in ("old-client", "fresh"):
        assert run(f"ensure pe-data://us/us_2024@next --cache {place}/{client}".split()) == 1
        assert "which the role does not have" in capsys.readouterr().err
    assert run(["root", "verify"]) == 1
    assert "us/us_2024@next" in capsys.readouterr().err
    assert run(["fsck"]) == 0, capsys.readouterr().err  # roots and earlier nominations are in nobody's way
