"""Let an area be published, or say why not: the stamp that later rules depend on. Imports no numpy, so it is quick."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from local_h5.files import write_text
from local_h5.validation.records import read_record, refusals
from local_h5.workflow.command import run


def publish_area(path_to_sidecar: Path, paths_to_records: list[Path], path_to_stamp: Path) -> None:
    """Write the stamp of an area whose records let it be published.

    Args:
        path_to_sidecar: of the area's H5.
        paths_to_records: of every level that the run validates at.
        path_to_stamp: to write (JSON).

    Assumes:
        The records were written under the current policy.
    """
    content = path_to_sidecar.read_bytes()
    output, own = json.loads(content)["output"], hashlib.sha256(content).hexdigest()
    records = [read_record(path) for path in paths_to_records]
    reasons = list(refusals(records, output["sha256"]))
    if any(record.sidecar_sha256 not in (None, own) for record in records):
        reasons.append("its sidecar changed since it was written; run again, which builds it anew")
    if reasons:
        for reason in reasons:
            print(f"not published: {output['path']}: {reason}", file=sys.stderr)
        sys.exit(1)
    stamp = {
        "path": output["path"],
        "sha256": output["sha256"],
        "sidecar_sha256": own,
        "validation": {record.level: record.status for record in records},
    }
    write_text(path_to_stamp, json.dumps(stamp, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sidecar", type=Path, required=True, help="result sidecar of the area")
    parser.add_argument("--records", type=Path, nargs="+", required=True, help="validation records (JSON)")
    parser.add_argument("--stamp", type=Path, required=True, help="stamp to write (JSON)")
    args = parser.parse_args()
    publish_area(args.sidecar, args.records, args.stamp)


if __name__ == "__main__":
    run(main)
