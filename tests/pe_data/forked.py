"""A function in a process of its own, which may be killed, without importing everything anew for each.

The processes are forked from a server that has imported the package and done nothing else: no threads, no open store.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "pe_data.keep.mirror",
        "pe_data.write.publish",
        "pe_data.read.resolver",
        "pe_data.write.revoke",
        "pe_data.trust.revocations",
        "pe_data.store.web_source",
        "pe_data.store.folder",
        "pe_data.trust.client",
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it had said until then."""

    returncode: int
    stdout: str
    stderr: str


def run(function: Callable[..., None], *args: Any) -> Ended:
    """Call a function of a module of helpers in a process of its own, with this one's environment and folder."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "stdout"), Path(folder, "stderr")
        process = _CONTEXT.Process(target=_call, args=(function, args, dict(os.environ), Path.cwd(), *said))
        process.start()
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()
        assert process.exitcode is not None
        ended = Ended(process.exitcode, *(path.read_text() for path in said))
        process.close()
    return ended


def _call(
    function: Callable[..., None], args: tuple[Any, ...], environment: Mapping[str, str], folder: Path, *said: Path
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for path, stream in zip(said, (sys.stdout, sys.stderr), strict=True):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    function(*args)
    sys.stdout.flush()
