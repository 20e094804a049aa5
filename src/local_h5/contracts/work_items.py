"""The areas that a worker builds."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from msgspec import field

from local_h5.contracts.results import Fingerprint
from local_h5.errors import RequestError
from local_h5.files import forms
from local_h5.files.forms import Form
from local_h5.requests import AreaBuildRequest


class WorkItem(Form, frozen=True):
    """One area to build.

    Attributes:
        request: the area.
        fingerprint: planned for its file. The worker compares it with its own inputs, if it can, and skips an area
            whose file has it already. Without one, the area is built.
    """

    request: AreaBuildRequest
    fingerprint: Fingerprint | None = None


class WorkItems(Form, frozen=True, kw_only=True):
    """The areas for a worker to build."""

    schema_version: Literal[1]
    items: tuple[WorkItem, ...] = field(name="areas")

    ERROR = RequestError
    ADVICE = "Its form is in docs/worker.md."


def read_request(path: Path) -> WorkItem:
    """Read the area that a job builds.

    Raises:
        RequestError: missing, not JSON, or of another form.
    """
    return forms.read(path, WorkItem, RequestError, "an area request", "Let the workflow write the request again.")


def read_items(data: Any, where: object = "work items") -> tuple[WorkItem, ...]:
    """Read ``{"schema_version": 1, "areas": [{"request": …, "fingerprint": …}]}``; the fingerprint may be left out.

    Args:
        data: parsed JSON.
        where: the file, for messages.

    Raises:
        RequestError: of another form, a filter's code is malformed, or two items would write the same file.
    """
    items = WorkItems.from_json(data, where).items
    check_distinct(items, where)
    return items


def write_items(items: Iterable[WorkItem]) -> dict[str, Any]:
    """The form that :func:`read_items` reads."""
    return WorkItems(schema_version=1, items=tuple(items)).to_json()


def check_distinct(items: Iterable[WorkItem], where: object) -> None:
    """Refuse two items of one file.

    Raises:
        RequestError: names the files.
    """
    counts = Counter(item.request.key for item in items)
    repeated = [path for path, count in counts.items() if count > 1]
    if repeated:
        raise RequestError(
            f"{where}: areas: expected every area once, found {len(repeated)} more than once ("
            f"{', '.join(repeated[:5])}{' …' if len(repeated) > 5 else ''}). Leave the repetitions out, or give "
            "them other ids."
        )
