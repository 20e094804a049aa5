"""The areas of a configuration as a list to read and to search."""

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from local_h5 import us
from local_h5.areas import did_you_mean
from local_h5.config.settings import Settings
from local_h5.errors import RequestError
from local_h5.requests import AreaBuildRequest
from local_h5.suggestions import folded


def areas(settings: Settings, words: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The areas of a run, in its order.

    Args:
        settings: of the run.
        words: all of them must describe an area: its id, its name, its type, its state, or a code of its filters (not a
            state's, which would be taken for the number of a district). Capitals, hyphens and leading zeros make no
            difference. The beginning of a word is enough; a number counts as a whole.

    Returns:
        For each area its ``id``, ``type``, ``name``, ``path`` of its file below the results folder, ``filters``.

    Raises:
        RequestError: no area is described so; the message suggests one.
    """
    wanted = folded(" ".join(words)).split()
    found = [request for request in settings.requests if _describes(wanted, request)]
    if not found:
        said = " ".join(words)
        guess = did_you_mean(said, settings.requests) or "Without --search all are listed."
        raise RequestError(f"areas: --search {said}: expected words that describe an area, found none. {guess}")
    return [
        {
            "id": request.area_id,
            "type": request.area_type,
            "name": _name(request),
            "path": request.key,
            "filters": to_builtins(request.filters),
        }
        for request in found
    ]


def as_lines(found: Sequence[dict[str, Any]]) -> list[str]:
    """Id, type and name of each, in columns."""
    rows = [(area["id"], area["type"], area["name"]) for area in found]
    wide, wider = (max(len(row[place]) for row in rows) for place in (0, 1))
    return [f"{area:<{wide}}  {kind:<{wider}}  {name}" for area, kind, name in rows]


def _name(request: AreaBuildRequest) -> str:
    """The name for people; of a district its state, since its id has the number."""
    return _state(request) or request.display_name


def _state(request: AreaBuildRequest) -> str:
    """The state of a district."""
    if request.area_type != "district":
        return ""
    codes = [value for item in request.filters if item.field == "district" for value in item.values]
    return us.STATE_NAMES[us.STATE_POSTAL[int(codes[0][:2])]] if codes else ""


def _describes(wanted: Sequence[str], request: AreaBuildRequest) -> bool:
    if not wanted:
        return True
    codes = [value for item in request.filters for value in item.values] if request.area_type != "state" else []
    said = [request.area_id, request.display_name, request.name, request.area_type, _state(request), *codes]
    has = set(folded(" ".join(said)).split())
    return all(word in has or (not word.isdigit() and any(one.startswith(word) for one in has)) for word in wanted)
