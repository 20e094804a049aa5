"""What was checked of an artifact before it was published, in the few fields that are published with it.

A producer's validation leaves one record per file and level (JSON: `area.sha256`, `level`, `status`,
`published`, `policy`). `from_records` condenses them; the result stands in the collection, or in the
manifest of a single file, and so under their digests. `records_sha256` binds the records themselves,
which stay with the producer. Only what `passed` can be nominated.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pe_data.documents.fields import Fields
from pe_data.errors import InputError, InvalidDocumentError
from pe_data.names.digests import Sha256, canonical_json, sha256_bytes, strict_json

RECORD_VERSION = 1
Status = Literal["passed", "failed", "skipped"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "skipped")
_RECORD_STATUSES = ("passed", "failed", "error", "skipped")


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcome of validating one file, or all files of a collection."""

    status: Status
    """`passed`: the policy lets every file be published, and something was checked of each."""
    checked: int
    """Files."""
    levels: Mapping[str, Mapping[str, int]]
    """Level → status → files; a file that failed where the policy only warns is counted here."""
    policy_sha256: Sha256
    """Digest over the policies that were applied."""
    records_sha256: Sha256
    """Digest over the digests of the records."""

    @classmethod
    def read(cls, fields: Fields) -> "Validation":
        """From the object in a manifest or a collection. Raises InvalidDocumentError."""
        levels = {
            level: {status: row.integer(status) for status in row.value} for level, row in fields.sub("levels").items()
        }
        return cls(
            status=cast(Status, fields.one_of("status", STATUSES)),
            checked=fields.integer("checked", minimum=1),
            levels=levels,
            policy_sha256=fields.sha256("policy_sha256"),
            records_sha256=fields.sha256("records_sha256"),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "status": self.status,
            "checked": self.checked,
            "levels": {level: dict(counts) for level, counts in self.levels.items()},
            "policy_sha256": self.policy_sha256,
            "records_sha256": self.records_sha256,
        }

    def summary(self) -> str:
        """One line for a person."""
        levels = "; ".join(
            f"{level}: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
            for level, counts in sorted(self.levels.items())
        )
        return f"validation {self.status}, {self.checked} file(s) ({levels})"


@dataclass(frozen=True, slots=True)
class Record:
    """What is read of one record."""

    level: str
    status: str
    published: bool
    policy_sha256: Sha256
    sha256: Sha256
    """Of the record's bytes."""

    @classmethod
    def read(cls, raw: bytes, artifact: Sha256, *, where: str) -> "Record":
        """Read a record of the file `artifact`.

        Raises:
            InvalidDocumentError: not such a record.
            InputError: it is of another file.
        """
        fields = Fields.of(strict_json(raw, what=where), where)
        version = fields.integer("schema_version")
        if version != RECORD_VERSION:
            raise fields.fail("schema_version", str(RECORD_VERSION), version)
        found = fields.sub("area").sha256("sha256")
        if found != artifact:
            raise InputError(f"{where}: expected the validation of sha256:{artifact}, found one of sha256:{found}")
        published = fields.value.get("published")
        if not isinstance(published, bool):
            raise fields.fail("published", "true or false", published)
        return cls(
            level=fields.text("level"),
            status=fields.one_of("status", _RECORD_STATUSES),
            published=published,
            policy_sha256=sha256_bytes(canonical_json(fields.sub("policy").value)),
            sha256=sha256_bytes(raw),
        )


def from_records(files: Mapping[str, tuple[Sha256, Iterable[Path]]]) -> Validation:
    """Condense the records of some files.

    Args:
        files: By name: digest of the file, and its records, one per level.

    Raises:
        InputError: a file has no record, two of one level, or one of another file.
        InvalidDocumentError: a record cannot be read.
    """
    rows = [
        (name, record) for name, (sha256, paths) in sorted(files.items()) for record in _records(name, sha256, paths)
    ]
    counts: dict[str, Counter[str]] = {}
    for _, record in rows:
        counts.setdefault(record.level, Counter())[record.status] += 1
    if any(not record.published or record.status == "error" for _, record in rows):
        status: Status = "failed"
    elif {name for name, record in rows if record.status != "skipped"} != set(files):
        status = "skipped"
    else:
        status = "passed"
    policies = sorted({record.policy_sha256 for _, record in rows})
    lines = sorted(f"{name} {record.level} {record.sha256}\n" for name, record in rows)
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


def _records(name: str, sha256: Sha256, paths: Iterable[Path]) -> Iterator[Record]:
    levels: set[str] = set()
    for path in paths:
        try:
            record = Record.read(path.read_bytes(), sha256, where=str(path))
        except OSError as error:
            raise InvalidDocumentError(f"{path}: cannot be read: {error.strerror or error}") from error
        if record.level in levels:
            raise InputError(f"{path}: a second record of level {record.level} for {name}")
        levels.add(record.level)
        yield record
    if not levels:
        raise InputError(f"{name}: expected a validation record, found none. Validate it, or publish without records")
