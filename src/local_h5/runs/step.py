"""What a step is: a job that is not an area's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

File = Path | tuple[Path, ...]
"""A file, or several that play one role."""


class Step(Struct, frozen=True):
    """One job that is not an area's. The rule of the step takes its files from here.

    Attributes:
        name: of the step, for example ``clones_regional``.
        inputs: role → what the job reads.
        outputs: role → what it writes.
        params: configuration that decides the outputs.
        modules: library modules and scripts that decide the outputs.
        pins: role → known sha256 of an output (a fetched file). Such a step needs no trace.
        beside: role → file beside one of the inputs, which the job finds by its name.
        handed: role → input whose relevant content is in ``params``. Other changes of it make nothing stale.
    """

    name: str
    inputs: Mapping[str, File]
    outputs: Mapping[str, Path]
    params: Mapping[str, Any]
    modules: tuple[str, ...]
    pins: Mapping[str, str] = {}
    beside: Mapping[str, Path] = {}
    handed: Mapping[str, Path] = {}

    @property
    def reads(self) -> dict[str, File]:
        """All files whose bytes decide the outputs, by role."""
        return {**self.inputs, **self.beside}
