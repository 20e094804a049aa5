"""Read the lines of an audit log from any store that can list its objects."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pe_data.errors import AuditError, InvalidDocumentError, ListingNotSupportedError, ObjectNotFoundError, StoreError
from pe_data.names.keys import audit_prefix
from pe_data.store.base import Store
from pe_data_gateway.audit.checkpoints import CHECKPOINT_LIMIT, Raw
from pe_data_gateway.audit.records import LINE_LIMIT, Record, parse_record

_SEGMENT = re.compile(r"[0-9]{12}\.jsonl")
_CHECKPOINT = re.compile(r"[0-9]{12}\.checkpoint\.json")
_READERS = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log and where it stands."""

    where: str
    """File and line number."""
    data: bytes
    """Without the newline."""
    whole: bool
    """False for a last line without its newline."""
    first: int | None = None
    """For the first line of a file: the number of the record that it has to be, by the file's name."""


def segment_keys(store: Store, country: str) -> list[str]:
    """Keys of the files of the log of `country`, in order."""
    return _keys(store, country, _SEGMENT)


def checkpoint_keys(store: Store, country: str) -> list[str]:
    """Keys of its checkpoints, in order."""
    return _keys(store, country, _CHECKPOINT)


def first_of(key: str) -> int:
    """The number of the first record of a file of the log, by its name."""
    return int(key.rpartition("/")[2].partition(".")[0])


def read_checkpoints(store: Store, keys: Sequence[str]) -> dict[str, Raw]:
    """What is under the keys of checkpoints, by place and key, in that order. Raises StoreError."""

    def one(key: str) -> Raw:
        try:
            return store.get(key, max_bytes=CHECKPOINT_LIMIT).data
        except (InvalidDocumentError, ObjectNotFoundError) as error:  # too long, or a link that leads nowhere
            return InvalidDocumentError(str(error))

    with ThreadPoolExecutor(_READERS, thread_name_prefix="pe-data-checkpoints") as pool:
        return {f"{store.url}: {key}": raw for key, raw in zip(keys, pool.map(one, keys), strict=True)}


def lines(store: Store, keys: Iterable[str]) -> Iterator[Line]:
    """Every line of some files of a log; memory does not depend on their length. Raises AuditError."""
    for key in keys:
        rest, number = b"", 0
        for piece in store.open(key).pieces():
            *whole, rest = (rest + piece).split(b"\n")
            for data in whole:
                number += 1
                yield Line(f"{store.url}: {key}: line {number}", data, True, first_of(key) if number == 1 else None)
            rest = rest[: LINE_LIMIT + 1]  # enough to be refused for its length
        if rest:
            yield Line(f"{store.url}: {key}: line {number + 1}", rest, False)


def records(store: Store, country: str) -> Iterator[Record]:
    """Every record of the log.

    Raises:
        AuditError: there is no log, or a line is not a record; a torn last line is left out.
    """
    keys = segment_keys(store, country)
    if not keys:
        raise AuditError(
            f"{store.url}: expected an audit log under {audit_prefix(country)}, found none. Name the folder that "
            "the gateway writes to (--log)"
        )
    for line in lines(store, keys):
        if not line.whole:
            continue
        try:
            yield parse_record(line.data, what=line.where)
        except InvalidDocumentError as error:
            raise AuditError(f"{error}. Run `pe-data audit verify`") from error


def _keys(store: Store, country: str, pattern: re.Pattern[str]) -> list[str]:
    prefix = audit_prefix(country)
    try:
        found = [meta.key for meta in store.list(prefix)]
    except ListingNotSupportedError:
        raise
    except StoreError as error:
        raise AuditError(f"{store.url}: the audit log cannot be listed: {error}") from error
    return sorted(key for key in found if pattern.fullmatch(key.removeprefix(prefix)))
