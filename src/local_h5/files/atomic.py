"""Files that are either whole or absent: write to a temporary name in the same folder, flush, rename."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from local_h5.errors import InputError, WriteError


@contextlib.contextmanager
def atomic_output(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``final``; rename it to ``final`` when the block ends well.

    On any exception the temporary file is removed and ``final`` is not changed. The file is flushed to disk before the
    rename, so that a crash cannot leave a truncated file under its name.

    Raises:
        WriteError: the folder cannot be made or written, or the disk is full.
    """
    handle, name = _temporary_beside(final)
    os.close(handle)
    temporary = Path(name)
    try:
        try:
            yield temporary
            _flush(temporary)
            temporary.replace(final)
            _flush(final.parent)
        except OSError as error:
            raise WriteError(
                f"{final}: expected a file that can be written, found {error.strerror or str(error)}. Free space "
                "or correct the permissions, then run again."
            ) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_output(final: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that cannot be written, or that is also an input under any name or link.

    Raises:
        WriteError: it is a folder, lies below a file, or is one of ``inputs``.
    """
    if final.is_dir():
        raise WriteError(f"{final}: expected the name of a file, found a folder. Add a file name to it.")
    existing = next(folder for folder in final.absolute().parents if folder.exists())
    if not existing.is_dir():
        raise WriteError(
            f"{final}: folder: expected a folder that can be written, found the file {existing}. Choose another "
            "output folder."
        )
    for path in inputs:
        if final.exists() and path.exists() and final.samefile(path):
            raise WriteError(
                f"{final}: expected another file than every input, found the input {path}. Choose another output; "
                "an input is never overwritten."
            )


def write_text(final: Path, text: str) -> None:
    """Write ``text`` as UTF-8 in one step (see :func:`atomic_output`)."""
    with atomic_output(final) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's bytes.

    Raises:
        InputError: it is missing, or may not be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"{path}: expected a file that this user may read, found {why_unread(path, error)}. Let its owner "
            "share it (chmod a+r), or correct the path."
        ) from error


def why_unread(path: Path, error: Exception) -> str:
    """Why a file could not be read, as the end of ``found``: what the system says, and whose file it is."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{of_owner(path)}"
    return f"{type(error).__name__}: {error}"


def error_line(error: Exception) -> str:
    """The text of an error in one line; of a system error the file, the reason and the file's owner."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}{of_owner(Path(os.fsdecode(error.filename)))}"
    return " ".join(str(error).split())


def of_owner(path: Path) -> str:
    """Who owns a file, as the end of a message; empty when that is not known."""
    try:
        return f", a file of {path.owner()}"
    except (KeyError, NotImplementedError):
        return f", a file of user {path.stat().st_uid}"
    except OSError:
        return ""


def _temporary_beside(final: Path) -> tuple[int, str]:
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile.mkstemp: its files are private, and here umask or the folder decides who may read a result.
        temporary = final.with_name(f".{final.name}.{os.urandom(4).hex()}.tmp")
        return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), str(temporary)
    except OSError as error:
        raise WriteError(
            f"{final}: folder: expected a folder that can be written, found {error.strerror or str(error)}. "
            "Choose another output folder or correct its permissions."
        ) from error


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
