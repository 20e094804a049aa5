"""Write files that others may not read: secrets, lists of people, payloads of gated countries.

Everything else that this package writes follows the umask of whoever runs it.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pe_data.errors import CacheError, ConfigError

_OTHERS = 0o077


def check_private(path: Path) -> None:
    """Raise ConfigError unless `path` is a file that nobody but its owner can read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode) or (os.name == "posix" and mode & _OTHERS):
        raise ConfigError(
            f"{path}: expected a file that only its owner can read (mode 600), found mode {stat.S_IMODE(mode):o}: "
            f"chmod 600 {path}"
        )


@dataclass(frozen=True, slots=True)
class Circle:
    """Who may read the gated payloads of a country on this machine: their reader alone, or a group.

    The umask opens nothing here: a file has mode 0600, or 0640 and the group; a folder 0700, or 0750 and
    the group (0770 if the umask lets a group write).
    """

    country: str
    group: str | None = None

    @property
    def name(self) -> str:
        """Of the folder that these files are in, one for each circle."""
        whose = f"group-{self.group}" if self.group else f"user-{user_number()}"
        return f"{self.country}.{whose}"

    @property
    def file_mode(self) -> int:
        """Of a payload, and of one that is still arriving."""
        return 0o640 if self.group else 0o600

    def make_folder(self, path: Path, top: Path) -> None:
        """Make `path` and what is missing above it, below `top`. Raises OSError, CacheError, ConfigError."""
        if path == top:
            path.mkdir(parents=True, exist_ok=True)
            return
        if path.is_dir():
            return
        self.make_folder(path.parent, top)
        try:
            path.mkdir(mode=0o770 if self.group else 0o700)
        except FileExistsError:  # another process was first
            return
        if self.group:
            self._give(path)
            # Set-group-id, so that what is made in it belongs to the group as well.
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o770 | 0o2750)
        else:
            path.chmod(0o700)

    def confine(self, path: Path) -> None:
        """Give a file its mode, and its group. Raises OSError, CacheError, ConfigError."""
        if self.group:
            self._give(path)
        path.chmod(self.file_mode)

    def _give(self, path: Path) -> None:
        number = _group_number(self.group or "")
        if path.stat().st_gid == number:
            return
        try:
            os.chown(path, -1, number)
        except PermissionError as error:
            raise CacheError(
                f"cache {path}: no permission to give it to the group {self.group} (gated_group of {self.country}): "
                "expected you to be a member of it, found that you are not. Name another group, or none"
            ) from error


def close_to_others(path: Path) -> None:
    """Close a file of this user's that an earlier version left open to others. Raises OSError."""
    found = path.stat()
    if found.st_mode & _OTHERS and found.st_uid == user_number():
        path.chmod(0o600)


def user_number() -> int:
    """The number of the user that this process acts for; 0 where users have none."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _group_number(name: str) -> int:
    try:
        import grp

        return grp.getgrnam(name).gr_gid
    except (ImportError, KeyError):
        raise ConfigError(f"gated_group: expected a group of this machine, found {name[:80]!r}") from None
