"""The dictionary of a run: what the model says of each variable that its files may have, and where the values are from.

It is made where the model is loaded, and goes into the source snapshot: whole for ``dictionary.json``, and as labels,
units and entities for a root attribute of every file, ready to be written.
"""

import bz2
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from msgspec import UNSET, Struct, UnsetType

from local_h5.contracts.dictionary import Period, RunDictionary, Variable
from local_h5.errors import ModelError
from local_h5.files import forms

LABEL_LIMIT, DESCRIPTION_LIMIT = 500, 10_000
"""Characters; whoever reads a dictionary takes no more."""

FROM_DATASET = "the source dataset"
FROM_WEIGHTS = "the calibration weights"
FROM_BLOCKS = "the block of the household clone, by the block tables"
NUMBERED = "numbered by this build: one number for each clone of a unit of the source dataset"
DRAWN = "drawn by a take-up programme, for each clone"
BY_STATE = "the model's parameters, by the state of the household"
LOADED = "the model, when it loads the source dataset"


class Written(Struct, frozen=True):
    """A variable that files have: whose rows, for which span, and where the values are from."""

    entity: str
    period: Period
    source: str


def period_of(stored: str) -> Period:
    """The span of a period such as ``2024``, ``2024-01`` or ``ETERNITY``."""
    return "eternity" if stored == "ETERNITY" else "month" if "-" in stored else "year"


def dictionary_of(
    written: Mapping[str, Written], known: Mapping[str, Any], members: Callable[[Any], Iterable[str] | None]
) -> RunDictionary:
    """What the model says of variables, by name.

    Args:
        written: what files may have.
        known: the model's variables. What it does not say is left out.
        members: names of the members of a variable's enumeration, None for other variables.
    """
    return RunDictionary(tuple(_variable(name, one, known.get(name), members) for name, one in sorted(written.items())))


def _variable(name: str, one: Written, known: Any, members: Callable[[Any], Iterable[str] | None]) -> Variable:
    values = None if known is None else members(known)
    return Variable(
        name,
        one.entity,
        one.period,
        label=_line(getattr(known, "label", None), LABEL_LIMIT),
        unit=_line(getattr(known, "unit", None), LABEL_LIMIT),
        description=_line(getattr(known, "documentation", None), DESCRIPTION_LIMIT),
        values=tuple(values or ()) or UNSET,
        source=one.source,
    )


def _line(text: object, limit: int) -> str | UnsetType:
    """A text of the model as one line of printable characters, cut with a mark where it is too long."""
    if not isinstance(text, str):
        return UNSET
    line = "".join(c for c in " ".join(text.split()) if c.isprintable()).strip()
    return (line if len(line) <= limit else f"{line[: limit - 1]}…") or UNSET


def document(dictionary: RunDictionary) -> np.ndarray:
    """The text of ``dictionary.json``: uint8."""
    return _bytes(forms.text(dictionary, "dictionary", ModelError, sort=True).encode())


def attribute(dictionary: RunDictionary) -> np.ndarray:
    """What a file says of its variables: uint8, a document of names, entities, periods, labels and units in bzip2.

    Whole it would be more than a district's file may grow. bzip2 has given the same bytes in all of its versions, which
    the zlibs do not.
    """
    short = RunDictionary(
        tuple(Variable(one.name, one.entity, one.period, one.label, one.unit) for one in dictionary.variables)
    )
    return _bytes(bz2.compress(forms.text(short, "dictionary", ModelError, indent=None, sort=True).encode()))


def _bytes(raw: bytes) -> np.ndarray:
    return np.frombuffer(raw, dtype=np.uint8)
