"""Write a step's stamp after the step has ended: ``python -m local_h5.workflow.record --order … --stamp …``."""

import argparse
from pathlib import Path

from local_h5.workflow.command import end_in_one_line
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.orders import record_step


def main() -> None:
    """Hash what the order names and write the stamp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--order", type=Path, required=True, help="order of the step")
    parser.add_argument("--stamp", type=Path, required=True, help="stamp to write")
    args = parser.parse_args()
    # The memo belongs to the main process; a job reads it and keeps what it learns to itself.
    memo = DigestMemo.open(args.order.parent.parent / "digests.json")
    record_step(args.order, args.stamp, memo)


if __name__ == "__main__":
    end_in_one_line(main)
