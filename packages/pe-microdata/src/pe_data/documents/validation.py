"""The validation record of an artifact, in the few fields that are published with it.

A producer's validation leaves one record per file and level (JSON: `area.sha256`, `level`, `status`,
`published`, `policy`). `from_records` condenses them; the result stands in the collection, or in the
manifest of a single file, and so under their digests. `records_sha256` binds the records themselves,
which stay with the producer. Only what `passed` can be nominated.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pe_data.documents.document import Count, Digest, Document, Part, Text, Version, shown
from pe_data.errors import InputError
from pe_data.names.digests import Sha256, canonical_json, read_named, sha256_bytes

Status = Literal["passed", "failed", "skipped"]


class Validation(Part, frozen=True):
    """The outcome of validating one file, or all files of a collection.

    Attributes:
        status: `passed`: the policy lets every file be published, and something was checked of each.
        checked: Files.
        levels: Level → status → files; a file that failed where the policy only warns is counted here.
        policy_sha256: Digest over the policies that were applied.
        records_sha256: Digest over the digests of the records.
    """

    status: Status
    checked: Version
    levels: Mapping[str, Mapping[str, Count]]
    policy_sha256: Digest
    records_sha256: Digest

    def summary(self) -> str:
        """One line for a person."""
        levels = "; ".join(
            f"{shown(level)}: " + ", ".join(f"{count} {shown(status)}" for status, count in sorted(counts.items()))
            for level, counts in sorted(self.levels.items())
        )
        return f"validation {self.status}, {self.checked} file(s) ({levels})"


class Area(Part, frozen=True):
    """The file that a record is of."""

    sha256: Digest


class Record(Document, frozen=True):
    """What is read of a record."""

    area: Area
    level: Text
    status: Literal["passed", "failed", "error", "skipped"]
    published: bool
    policy: Mapping[str, Any]


def from_records(files: Mapping[str, tuple[Sha256, Iterable[Path]]]) -> Validation:
    """Condense the records of some files.

    Args:
        files: By name: digest of the file, and its records, one per level.

    Raises:
        InputError: a file has no record, two of one level, or one of another file, or a record cannot be read.
        InvalidDocumentError: a record is none.
    """
    rows = [(name, *read) for name, (sha256, paths) in sorted(files.items()) for read in _records(name, sha256, paths)]
    counts: dict[str, Counter[str]] = {}
    for _, record, _ in rows:
        counts.setdefault(record.level, Counter())[record.status] += 1
    if any(not record.published or record.status == "error" for _, record, _ in rows):
        status: Status = "failed"
    elif {name for name, record, _ in rows if record.status != "skipped"} != set(files):
        status = "skipped"
    else:
        status = "passed"
    policies = sorted({sha256_bytes(canonical_json(record.policy)) for _, record, _ in rows})
    lines = sorted(f"{name} {record.level} {sha256}\n" for name, record, sha256 in rows)
    return Validation(
        status=status,
        checked=len(files),
        levels={level: dict(sorted(found.items())) for level, found in sorted(counts.items())},
        policy_sha256=sha256_bytes("\n".join(policies).encode()),
        records_sha256=sha256_bytes("".join(lines).encode()),
    )


def records_in(folder: Path, name: str) -> list[Path]:
    """The records of member `name` below `folder`: `<name>.json`, and `<level>/<name>.json`."""
    found = [folder / f"{name}.json", *sorted(folder.glob(f"*/{name}.json"))]
    return [path for path in found if path.is_file()]


def _records(name: str, sha256: Sha256, paths: Iterable[Path]) -> Iterator[tuple[Record, Sha256]]:
    """Each record with the digest of its bytes."""
    levels: set[str] = set()
    for path in paths:
        raw = read_named(path)
        record = Record.from_bytes(raw, str(path))
        if record.area.sha256 != sha256:
            raise InputError(
                f"{path}: expected the validation of sha256:{sha256}, found one of sha256:{record.area.sha256}"
            )
        if record.level in levels:
            raise InputError(f"{path}: a second record of level {shown(record.level)} for {name}")
        levels.add(record.level)
        yield record, sha256_bytes(raw)
    if not levels:
        raise InputError(f"{name}: expected a validation record, found none. Validate it, or publish without records")
