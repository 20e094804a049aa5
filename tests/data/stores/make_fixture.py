"""Make one file with everything that a version of `pe_data` writes, for later versions to read.

    make_fixture.py RESULTS FIXTURE.tar.gz

RESULTS is the results folder of a finished run of the small project (`tests/workflow/small_project.py`); two of
its areas go in. `0.1.0.tar.gz` beside this script was made at commit 9bdb46c. Run the script at a new release only,
under a new name: what is here stays as it was written. Dates lie a hundred years ahead, so that nothing runs out.

::

    about.json      commit, versions, addresses, the token, and the name of the store in the memories of the cache
    store/          two countries: latest, next, history, tombstone, pin, marks, audit log, trust root 1 to 3
    keys/           of everybody, with the passphrase that about.json names
    anchor/         root 1, from which a client follows the other two
    cache/          payloads, stamps, a broken-off download, memories of channels, trust root and revocations
    tokens.json     of the gateway
    release/        a data release: block, signed statement, TRACE object
    results/        two area files with their sidecars
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np

from pe_data.cache.entries import Cache
from pe_data.cache.fetch import Tuning, Wanted, fetch
from pe_data.cli import run
from pe_data.documents.envelope import POINTER_TYPE, sign
from pe_data.names.digests import sha256_bytes, sha256_file
from pe_data.names.keys import payload_key
from pe_data.names.times import format_time
from pe_data.store.folder import FolderStore
from pe_data.trust.keys import load_signer
from pe_data.trust.opening import open_policy
from pe_data.write.nominate import candidate, nominate, propose
from pe_data_gateway.tokens import new_token

sys.path.insert(0, str(Path(__file__).parents[2] / "pe_data"))
from gateway_helpers import gateway
from trust_helpers import validation_record

PASSPHRASE = "correct horse"
AREAS = ("districts/NC-01", "states/NC")
LONG = "36500d"
CENTURY = timedelta(days=36500)


def pe_data(line: str, *, expected: int = 0) -> None:
    """One command, in this process."""
    code = run(line.split())
    if code != expected:
        raise SystemExit(f"pe-data {line}: exit code {code}")


def write_h5(path: Path, count: int, seed: int = 0) -> Path:
    """A small file that compresses well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name in ("person_id", "household_id", "person_household_id"):
            file[f"{name}/2024"] = np.arange(count)
        file["household_weight/2024"] = np.ones(count, "float32")
        file["age/2024"] = (np.arange(count) + seed) % 90
    return path


def promote(dataset: str, *people: str) -> None:
    """Nominate the latest version of a dataset for a hundred years, which the command line does not offer."""
    country, name = dataset.split("/")
    store = FolderStore(Path("store"))
    body = propose(store, candidate(store, country, name), namespace="local")
    body = replace(body, expires=format_time(datetime.now(UTC) + CENTURY))
    signers = [load_signer(person, lambda _: PASSPHRASE) for person in people]
    nominate(store, sign(body.to_bytes(), POINTER_TYPE, signers), open_policy(store))


def make_keys_and_roots() -> None:
    """Three versions of the trust root; clients start from the first."""
    pe_data("key new owner successor alice bob carol dora gatekeeper")
    roles = "--role next-us=alice --role revoke-us=dora --role next-uk=alice,bob:2 --role revoke-uk=alice,dora:2"
    roles += " --role attest-uk=carol --role audit-uk=gatekeeper"
    terms = f"--expires {LONG} --fresh {LONG}"
    pe_data(f"root init --role root=owner {roles} --key owner --anchor anchor {terms}")
    pe_data(f"root rotate --replace owner=successor --key owner --key successor {terms}")
    pe_data(f"root rotate --replace bob=carol --key successor {terms}")


def publish_us(results: Path) -> dict[str, str]:
    """A collection with its nomination, a file of two versions and garbage, and one that was revoked."""
    for area in AREAS:
        for end in (".h5", ".h5.result.json"):
            target = Path("results", area + end)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(results / (area + end), target)
        record = Path("records", f"{area}.json")
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(validation_record(sha256_file(Path("results", f"{area}.h5"))))
    pe_data("publish results us/local_areas --run-id run-1 --validation records --licence CC0-1.0")
    promote("us/local_areas", "alice")
    found = {}
    for name, seed, count in (("small", 1, 40), ("small", 2, 40), ("withdrawn", 3, 40), ("large", 4, 50_000)):
        path = write_h5(Path("files", f"{name}-{seed}.h5"), count, seed)
        pe_data(f"publish {path} us/{name} --licence CC0-1.0")
        found[name if seed != 1 else "small-1"] = sha256_file(path)
    shutil.rmtree("records")
    shutil.rmtree("files")
    pe_data(f"pin add us {found['large']} --reason release")
    pe_data("gc --keep-versions 1 --grace 1h")
    return found


def publish_uk() -> str:
    """A gated collection with a data release; returns the pin of a member."""
    story = Path(__file__).parents[2] / "pe_data" / "story_build.py"
    subprocess.run([sys.executable, story, ".", "london", "wales"], check=True)
    licence = ["--licence", "made-up end user licence"]
    if run(["publish", "areas", "uk/regions", "--run-id", "run-7", "--validation", "records", *licence]):
        raise SystemExit("uk/regions was not published")
    promote("uk/regions", "alice", "carol")
    shutil.rmtree("areas")
    shutil.rmtree("records")
    pe_data("release-manifest uk/regions --repo made-up/regions --tag 2026-1 --default-dataset london --store store")
    pe_data(
        "certify uk --data-producer made-up-regions --release-manifest release_manifest.json --bundle-id uk-1.0 "
        "--policyengine-version 1.0 --model-version 2.0.0 --core-version bundle_pin "
        "--by carol@example.org --key carol --out release --store store"
    )
    block = json.loads(Path("release/data_release.json").read_text())
    return str(block["pe_data"]["files"]["wales"]["uri"])


def serve(uri: str, token: str, *options: str) -> None:
    """One access through the gateway, which writes a record and a checkpoint."""
    os.environ["PE_DATA_TOKEN"] = token
    with gateway("store", Path("tokens.json"), "--country", "uk", "--checkpoint-records", "1", *options) as running:
        pe_data(f"ensure {uri} --store {running.store} --cache ada")
        running.process.send_signal(signal.SIGTERM)
        running.process.wait()
    del os.environ["PE_DATA_TOKEN"]
    shutil.rmtree("ada")


def fill_cache(found: dict[str, str]) -> None:
    """Hits, memories, a refused revocation and a download that was broken off after its first part."""
    for name in ("small", "withdrawn", "local_areas/districts/NC-01"):
        pe_data(f"ensure pe-data://us/{name}@latest")
    pe_data("ensure pe-data://us/local_areas/states/NC@next")
    withdrawn = f"pe-data://us/withdrawn@sha256:{found['withdrawn']}"
    if run(["revoke", withdrawn, "--reason", "made in error", "--by", "dora@example.org", "--key", "dora"]):
        raise SystemExit("nothing was revoked")
    os.environ["PE_DATA_REVOCATION_HOURS"] = "0"
    pe_data(f"ensure {withdrawn}", expected=1)
    del os.environ["PE_DATA_REVOCATION_HOURS"]
    path = write_h5(Path("files", "withdrawn-5.h5"), 40, 5)
    pe_data(f"publish {path} us/withdrawn --licence CC0-1.0")
    shutil.rmtree("files")
    break_off(found["large"])
    pe_data("fsck")


class _BrokenOffError(BaseException):
    """Stands for a process that is killed."""


def break_off(digest: str) -> None:
    """Leave the first part of a download in the cache."""

    def stop(done: int, size: int | None) -> None:
        raise _BrokenOffError

    store, key = FolderStore(Path("store")), payload_key("us", digest, "h5")
    wanted = Wanted(digest, "h5", store.head(key).size, "large")
    try:
        fetch(Cache(Path("cache").absolute()), wanted, [store.source(key)], Tuning(progress=stop))
    except _BrokenOffError:
        return
    raise SystemExit("the download was not broken off")


def settle(cache: Cache) -> None:
    """Whole seconds, which an archive keeps; stamps are made for them."""
    for entry in cache.entries():
        second = int(entry.path.stat().st_mtime)
        os.utime(entry.path, (second, second))
        cache.stamp(entry.path)


@contextmanager
def at(folder: Path) -> Iterator[None]:
    """Work in a folder, with nothing of this user's configuration."""
    before = Path.cwd()
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("PE_DATA_")]:
        del os.environ[name]
    os.environ |= {
        "PE_DATA_STORE": str(folder / "store"),
        "PE_DATA_CACHE": str(folder / "cache"),
        "PE_DATA_KEYS": str(folder / "keys"),
        "PE_DATA_KEY_PASSPHRASE": PASSPHRASE,
        "PE_DATA_TRUST_ROOT": str(folder / "anchor" / "root.json"),
        "PE_DATA_CONFIG": str(folder / "none.toml"),
    }
    try:
        yield
    finally:
        os.chdir(before)


def main(results: Path, target: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    ).stdout.strip()
    results, target = results.absolute(), target.absolute()
    with tempfile.TemporaryDirectory() as name, at(Path(name)):
        folder = Path(name)
        make_keys_and_roots()
        found = publish_us(results)
        pin = publish_uk()
        token, _ = new_token(Path("tokens.json"), "ada@example.org", ("uk/*",), CENTURY)
        serve(pin, token)
        serve(pin, token, "--signer", "gatekeeper")
        fill_cache(found)
        settle(Cache(folder / "cache"))
        about = {
            "commit": commit,
            "versions": {name: version(name) for name in ("pe-microdata", "tuf", "securesystemslib", "obstore")},
            "passphrase": PASSPHRASE,
            "token": token,
            "digests": found,
            "gated_pin": pin,
            "store_in_memories": sha256_bytes(str(folder / "store").encode())[:16],
        }
        Path("about.json").write_text(json.dumps(about, indent=1) + "\n")
        with tarfile.open(target, "w:gz", compresslevel=9) as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name, filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Nobody's file; locks are not kept."""
    if entry.name.endswith(".lock") or "/.staging" in entry.name or "/.locks" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
