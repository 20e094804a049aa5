"""Types for values that were read as text: those that YAML gives them in a file."""

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import yaml

from local_h5.files.forms import choices, parts

_ROOM: Mapping[type, tuple[type, ...]] = {bool: (bool,), int: (int, float), float: (float, int)}
"""Type of a value → types of a field that it is meant for, rightly or wrongly."""


def typed(kind: Any, value: Any) -> Any:
    """Convert texts where the type allows it: ``"10"`` to 10 in a field of numbers, ``"null"`` to None in one that may
    be null. Both stay text elsewhere, and values of other types are not changed.

    Args:
        kind: a structure, or a type made of such.
        value: what a document of it holds, or a part of that.
    """
    if isinstance(value, Mapping):
        kinds = {name: part for name, _, part in parts(value, kind)}
        return {name: typed(kinds.get(str(name), Any), part) for name, part in value.items()}
    if isinstance(value, list):
        kinds = {number: part for number, _, part in parts(value, kind)}
        return [typed(kinds.get(str(number), Any), item) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        meant = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return value
    return meant if _has_room(kind, meant) else value


def _has_room(kind: Any, meant: Any) -> bool:
    for choice in choices(kind):
        if meant is None and choice is type(None):
            return True
        if choice in _ROOM.get(type(meant), ()):
            return True
        if get_origin(choice) is Literal and any(type(meant) is type(option) for option in get_args(choice)):
            return True
    return False
