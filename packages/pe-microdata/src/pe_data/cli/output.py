"""What commands print: text for a person, one JSON object for a program, progress on a terminal, notes as log lines."""

import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from pe_data.read.progress import BYTES, bar, short
from pe_data.texts import printable

LOGGER = logging.getLogger("pe_data")
LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
"""Of `-q`, of neither, of `-v` and of `-vv`."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command puts its result; standard output holds nothing else."""

    as_json: bool

    def __call__(self, document: object, lines: Iterable[object] = ()) -> None:
        """Print the JSON object `document` for a program, or `lines` for a person."""
        if self.as_json:
            print_json(document)
        else:
            for line in lines:
                say(line)


def say(text: object = "", *, err: bool = False) -> None:
    """Print text of which anybody may have written a part; see `printable`."""
    click.echo("\n".join(map(printable, str(text).split("\n"))), err=err)


def print_json(value: Any) -> None:
    """One JSON document; dataclasses become objects. What a terminal would obey is written as `\\u009b`."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value, enc_hook=_json_value), indent=2).decode()
    except UnicodeEncodeError:  # half a character, as in the name of a file in another encoding
        text = json.dumps(msgspec.to_builtins(value, enc_hook=_json_value), indent=2)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo(text)


def _json_value(value: Any) -> int | float | str:
    """A number of another library, as numpy's; or a text of what JSON does not know, as a path."""
    return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else str(value)


def facts(document: dict[str, Any]) -> list[str]:
    """A line for each field that has a value."""
    return [f"{name:16} {value}" for name, value in document.items() if value is not None]


def plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass or a document."""
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else asdict(value)


class _Lines(logging.Handler):
    """`pe-data: warning: …` on standard error, as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"pe-data: {record.levelname.lower()}: {record.getMessage()}", err=True)


@contextmanager
def noted() -> Iterator[None]:
    """Show warnings and log records of the library as lines on standard error."""
    handler = _Lines()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(LEVELS[1])
    propagate, LOGGER.propagate = LOGGER.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: LOGGER.warning("%s", message)
            yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.propagate = propagate


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A callback (done, total) that draws a bar on a terminal and does nothing elsewhere."""
    with _bar(label) as advance:
        yield advance or (lambda done, total: None)


def download_progress(address: str | Path) -> AbstractContextManager[Callable[[int, int | None], None] | None]:
    """A callback (bytes, total) that draws a bar with its speed on a terminal, else None."""
    return _bar(short(address), *BYTES)


def _bar(label: str, *columns: str) -> AbstractContextManager[Callable[[int, int | None], None] | None]:
    return bar(label, *columns, show=None if LOGGER.isEnabledFor(logging.WARNING) else False)
