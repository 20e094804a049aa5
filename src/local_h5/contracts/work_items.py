"""What a worker is asked to do, typed, and its JSON form (``schemas/work_items.schema.json``)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from local_h5.contracts.results import Fingerprint
from local_h5.contracts.schema import check
from local_h5.errors import RequestError
from local_h5.requests import AreaBuildRequest

SCHEMA = "work_items"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One area to build.

    Attributes:
        request: the area.
        fingerprint: what its file must come from, as planning says. It is checked against what this worker would build
            from, where the worker can tell, and a file that has it already is skipped. Without one, the area is built.
    """

    request: AreaBuildRequest
    fingerprint: Fingerprint | None = None


def read_items(data: Any, where: object = "work items") -> tuple[WorkItem, ...]:
    """Read ``{"schema_version": 1, "areas": [{"request": …, "fingerprint": …}]}``; the fingerprint may be left out.

    Args:
        data: parsed JSON.
        where: the file, for messages.

    Raises:
        RequestError: against the schema, a filter's code is malformed, or two items would write the same file.
    """
    check(SCHEMA, data, where, RequestError)
    items = []
    for number, entry in enumerate(data["areas"]):
        mark = entry.get("fingerprint")
        items.append(
            WorkItem(
                AreaBuildRequest.from_json(entry["request"], f"{where}: areas.{number}.request"),
                None if mark is None else Fingerprint(mark["digest"], mark["components"]),
            )
        )
    check_distinct(items, where)
    return tuple(items)


def write_items(items: Iterable[WorkItem]) -> dict[str, Any]:
    """The form that :func:`read_items` reads."""
    return {
        "schema_version": SCHEMA_VERSION,
        "areas": [
            {
                "request": item.request.to_json(),
                "fingerprint": None
                if item.fingerprint is None
                else {"digest": item.fingerprint.digest, "components": dict(item.fingerprint.components)},
            }
            for item in items
        ],
    }


def check_distinct(items: Iterable[WorkItem], where: object) -> None:
    """Refuse two items of one file.

    Raises:
        RequestError: names the files.
    """
    counts = Counter(str(item.request.relative_path) for item in items)
    repeated = [path for path, count in counts.items() if count > 1]
    if repeated:
        raise RequestError(
            f"{where}: areas: expected every area once, found {len(repeated)} more than once ("
            f"{', '.join(repeated[:5])}{' …' if len(repeated) > 5 else ''}). Leave the repetitions out, or give "
            "them other ids."
        )
