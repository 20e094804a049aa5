"""A rule's shell command, when all that it does is to run a Python script."""

import re
import shlex
from dataclasses import dataclass

_PYTHON = re.compile(r"(?:.*/)?python[\d.]*")


@dataclass(frozen=True, slots=True)
class ScriptCommand:
    """``PYTHON SCRIPT ARGUMENTS 2> LOG``, or without a log.

    Attributes:
        python: the interpreter, as the command names it.
        argv: script and arguments.
        log: file that standard error goes to; None when the command leaves it.
    """

    python: str
    argv: tuple[str, ...]
    log: str | None

    @classmethod
    def read(cls, command: str) -> "ScriptCommand | None":
        """Read a command; None when a shell has more to do with it than to split and unquote its words."""
        before, arrow, after = command.rpartition(" 2> ")
        words, logs = _words(before), _words(after)
        log = logs[0] if arrow and logs is not None and len(logs) == 1 else None
        if log is None:
            words = _words(command)
        if words is None or len(words) < 2 or not _PYTHON.fullmatch(words[0]) or words[1].startswith("-"):
            return None
        return cls(words[0], tuple(words[1:]), log)


def _words(text: str) -> list[str] | None:
    """The words of a text that holds nothing but words, each quoted as ``shlex.quote`` does it; else None."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    rest = text.strip(" ")
    for word in words:
        quoted = shlex.quote(word)
        if not rest.startswith(quoted):
            return None
        rest = rest[len(quoted) :]
        if rest and not rest.startswith(" "):
            return None
        rest = rest.lstrip(" ")
    return None if rest else words
