"""Small files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pe_data.errors import CacheError


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write `data` under a temporary name beside `path`, sync it, rename it. Raises CacheError.

    Args:
        sync: False where a power cut may leave anything, because whoever reads the file notices and asks again.
    """
    import tempfile  # 5 ms, which a hit in the cache need not pay

    with local_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(data)
                handle.flush()
                if sync:
                    os.fsync(handle.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable; does nothing where folders cannot be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn trouble with the local disk into CacheError, which no other mirror can help with."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"cache {path}: {error.strerror or error}. Free some space or choose another folder with PE_DATA_CACHE"
        ) from error
