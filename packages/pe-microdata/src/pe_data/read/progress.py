"""A bar on standard error that shows how far something is, in a terminal or a notebook."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BYTES = ("DownloadColumn", "TransferSpeedColumn")
"""Columns of a bar that counts bytes."""


@contextmanager
def bar(label: str, *columns: str, show: bool | None = None) -> Iterator[Callable[[int, int | None], None] | None]:
    """A callback (done, total) that draws the bar, or None where nobody would see one.

    Args:
        columns: Names of further columns, as in `rich.progress`.
        show: False for no bar; None for one where there is a terminal or a notebook.
    """
    if show is False or not (show or sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield None
        return
    from rich import progress as rich
    from rich.console import Console

    shown = [rich.TextColumn("{task.description}"), rich.BarColumn()]
    shown += [getattr(rich, name)() for name in (*columns, "TimeRemainingColumn")]
    with rich.Progress(*shown, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(label, total=None, visible=False)
        yield lambda done, total: drawn.update(task, completed=done, total=total, visible=True)


def short(address: object) -> str:
    """The end of an address, as the label of a bar."""
    return str(address).partition("#")[0].rpartition("/")[2][:40]
