"""Select records of the audit log, and summarise them by user."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from pe_data.errors import AuditError
from pe_data.names.digests import Sha256
from pe_data_gateway.audit.records import NamedInput, Record

_SEPARATORS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Question:
    """Which records count; everything that is given must hold."""

    dataset: str | None = None
    derived_from: str | None = None
    """Part of the name of an input in whole words ("FRS 2023-24" is in `frs_2023_24.tab`), or
    `sha256:…` of its bytes."""
    user: str | None = None
    artifact: Sha256 | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""


@dataclass(frozen=True, slots=True)
class UserLine:
    """What one user had."""

    user: str
    first: datetime
    last: datetime
    manifests: int
    collections: int
    payload_links: int
    datasets: tuple[str, ...]
    artifacts: tuple[Sha256, ...]
    inputs: tuple[str, ...]
    """Names of the inputs that matched, if the question was about inputs; all of them otherwise."""
    tokens: tuple[str, ...]
    clients: tuple[str, ...]


def matching(records: Iterable[Record], question: Question) -> Iterator[Record]:
    """The records of releases (not of openings) that the question is about. Raises AuditError."""
    derived = question.derived_from
    if derived is not None and not _words(derived):
        raise AuditError(f"derived from: expected the name of an input or sha256:…, found {derived!r}")
    for record in records:
        entry = record.entry
        if (
            entry.action != "opened"
            and question.dataset in (None, entry.dataset)
            and question.user in (None, entry.user)
            and question.artifact in (None, entry.artifact)
            and (question.since is None or record.time >= question.since)
            and (question.until is None or record.time < question.until)
            and (derived is None or any(is_input(one, derived) for one in entry.inputs))
        ):
            yield record


def by_user(records: Iterable[Record], question: Question) -> list[UserLine]:
    """One line per user who had anything that the question is about, in order of name."""
    grouped: dict[str, list[Record]] = {}
    for record in matching(records, question):
        grouped.setdefault(record.entry.user, []).append(record)
    return [_line(user, found, question) for user, found in sorted(grouped.items())]


def is_input(one: NamedInput, derived: str) -> bool:
    """Whether an input is the one that is meant."""
    if derived.startswith("sha256:"):
        return one.sha256 == derived.removeprefix("sha256:")
    return f" {_words(derived)} " in f" {_words(one.name)} "


def _words(text: str) -> str:
    return _SEPARATORS.sub(" ", text.casefold()).strip()


def _line(user: str, records: list[Record], question: Question) -> UserLine:
    entries = [record.entry for record in records]
    derived = question.derived_from
    names = {one.name for entry in entries for one in entry.inputs if derived is None or is_input(one, derived)}
    return UserLine(
        user=user,
        first=min(record.time for record in records),
        last=max(record.time for record in records),
        manifests=sum(entry.action == "manifest" for entry in entries),
        collections=sum(entry.action == "collection" for entry in entries),
        payload_links=sum(entry.action == "payload" for entry in entries),
        datasets=tuple(sorted({f"{entry.country}/{entry.dataset}" for entry in entries})),
        artifacts=tuple(sorted({entry.artifact for entry in entries if entry.artifact})),
        inputs=tuple(sorted(names)),
        tokens=tuple(sorted({entry.token for entry in entries})),
        clients=tuple(sorted({entry.client for entry in entries})),
    )
