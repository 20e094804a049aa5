"""Approve an area for publishing, or say why not. It imports no numpy, so it is quick."""

import json
import sys
from pathlib import Path

from msgspec import UNSET

from local_h5.contracts.records import read_record, refusals
from local_h5.contracts.results import read_sidecar
from local_h5.files.atomic import sha256_of, write_text
from local_h5.workflow.command import run


def publish_area(path_to_sidecar: Path, paths_to_records: list[Path], path_to_approval: Path) -> int:
    """Write the approval of an area if its records allow it.

    Args:
        path_to_sidecar: result sidecar of the area (JSON).
        paths_to_records: validation records (JSON) of every level that the run validates at.
        path_to_approval: approval to write (JSON).

    Assumes:
        The records were written under the current policy.

    Returns:
        Exit status: 0, or 1 when the area may not be published; the reasons are lines on standard error.
    """
    output, own = read_sidecar(path_to_sidecar).output, sha256_of(path_to_sidecar)
    records = [read_record(path) for path in paths_to_records]
    reasons = list(refusals(records, output.sha256))
    if any(record.area.sidecar_sha256 not in (UNSET, own) for record in records):
        reasons.append("its sidecar changed since it was written; run again, which builds it anew")
    for reason in reasons:
        print(f"not published: {output.path}: {reason}", file=sys.stderr)
    if reasons:
        return 1
    approval = {
        "path": output.path,
        "sha256": output.sha256,
        "sidecar_sha256": own,
        "records": {record.level: sha256_of(path) for record, path in zip(records, paths_to_records, strict=True)},
        "validation": {record.level: record.status for record in records},
    }
    write_text(path_to_approval, json.dumps(approval, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    run(publish_area)
