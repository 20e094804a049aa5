"""Files that hold secrets or name people: nobody but their owner may read them."""

import os
import stat
from pathlib import Path

from pe_data.errors import CredentialsError


def check_private(path: Path) -> None:
    """Raise CredentialsError unless `path` is a file that nobody but its owner can read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode) or (os.name == "posix" and mode & 0o077):
        raise CredentialsError(
            f"{path}: expected a file that only its owner can read (mode 600), found mode {stat.S_IMODE(mode):o}: "
            f"chmod 600 {path}"
        )
