"""A command under a pseudo-terminal, as a person runs it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_MOVE = re.compile(r"\x1b\[[0-9;?]*[A-HJKSTfhlsu]")


@dataclass(frozen=True, slots=True)
class Shown:
    """How a command ended, and all that it wrote, in order."""

    status: int
    written: str

    @property
    def text(self) -> str:
        """Without colours and movements of the cursor."""
        return _MOVE.sub("", _STYLE.sub("", self.written)).replace("\r", "")

    def after(self, words: str) -> str:
        """What was written from the last occurrence of some words on, without colours.

        Raises:
            AssertionError: the words are not there, or the cursor was moved after them: what stands there may be gone.
        """
        assert words in self.written, self.text
        rest = _STYLE.sub("", self.written[self.written.rindex(words) :])
        moved = _MOVE.findall(rest.replace("\x1b[?25h", ""))  # to show the cursor is no movement
        assert not moved, f"the cursor moves after {words!r}: {moved}"
        return rest.replace("\x1b[?25h", "").replace("\r", "")


def run_in_terminal(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    typed: str = "",
    width: int = 120,
    timeout: float = 240,
) -> Shown:
    """Run a command whose standard streams are a terminal of ``width`` columns and 40 lines; ``typed`` waits in it."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "TERM": "xterm-256color"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    os.write(main, typed.encode())
    parts: list[bytes] = []
    try:
        while True:
            try:
                part = os.read(main, 65_536)
            except OSError:  # the last one who had it open is gone
                break
            if not part:
                break
            parts.append(part)
    finally:
        os.close(main)
    status = process.wait(timeout)
    return Shown(status, b"".join(parts).decode("utf-8", errors="replace"))
