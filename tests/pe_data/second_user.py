"""Another user of this machine: what the tests of shared folders run in a process of its own."""

import json
import os
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import pe_data
from pe_data.cache import entries as cache_store
from pe_data.errors import PeDataError
from pe_data.names.digests import sha256_file
from pe_data.store.base import LocalFile
from pe_data.store.folder import FolderStore


def write(number: str, store: str, file: str) -> None:
    """Create an object as the user with that number, from bytes and from a file; prints the kind of each error."""
    place = FolderStore(Path(store))
    contents = (b"x", LocalFile(Path(file), sha256_file(Path(file))))
    os.setgroups([])
    os.setgid(int(number))
    os.setuid(int(number))
    for content in contents:
        try:
            place.put_create("us/sha256/new.h5", content)
        except Exception as error:  # the test says what is right
            sys.stdout.write(f"{type(error).__name__}\n")


def main(number: str, umask: str, cache: str, store: str, *uris: str) -> None:
    """Ask with the number and umask of that user; `--offline` among the addresses forbids the network.

    Everything that is needed is loaded and used once before the process takes the other number, because the
    interpreter may lie where the other user may not read. Prints one JSON object for each address:
    `{"path", "hashed", "bytes"}` or `{"error", "kind"}`.
    """
    offline = "--offline" in uris
    asked = [uri for uri in uris if uri != "--offline"]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as warm:
        os.environ["PE_DATA_TRUST_ROOT"] = f"{warm}/none"
        for uri in asked:
            pe_data.ensure(uri, store=store, cache=warm)
        with suppress(PeDataError):
            pe_data.ensure(asked[0], store=store, cache=f"{warm}/none/none", offline=True)
    hashed: list[str] = []
    right = cache_store.sha256_file
    cache_store.sha256_file = lambda path: (hashed.append(path.name), right(path))[1]
    os.setgroups([])
    os.setgid(int(number))
    os.setuid(int(number))
    os.umask(int(umask, 8))
    for uri in asked:
        hashed.clear()
        try:
            path = pe_data.ensure(uri, store=store, cache=cache, offline=offline)
            found = {"path": str(path), "hashed": len(hashed), "bytes": len(Path(path).read_bytes())}
        except Exception as error:  # the test says what is right
            found = {"error": str(error), "kind": type(error).__name__}
        sys.stdout.write(json.dumps(found) + "\n")
