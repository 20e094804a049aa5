"""Fingerprint every area and order those whose file does not match; the others are left alone."""

import argparse
import json
from pathlib import Path

from local_h5.files import write_text
from local_h5.settings import Settings
from local_h5.workflow.command import end_in_one_line
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.forecast import compute
from local_h5.workflow.main_process import settle_all_areas
from local_h5.workflow.orders import write_plan


def plan_areas(path_to_config: Path, path_to_catalog: Path, path_to_plan: Path) -> None:
    """Write the area catalog, the plan, and an order for every stale area.

    Args:
        path_to_config: resolved configuration (JSON).
        path_to_catalog: typed requests of all areas (JSON), to write.
        path_to_plan: fingerprint of every area (JSON), to write last.

    Assumes:
        The prepared files below ``results/prepared`` are up to date.
    """
    settings = Settings.read(path_to_config)
    expected = compute(settings)
    memo = DigestMemo.open(settings.prepared / "digests.json")
    settle_all_areas(settings, expected, memo)
    memo.save()
    catalog = [request.to_json() for request in settings.requests]
    write_text(path_to_catalog, json.dumps(catalog, indent=1) + "\n")
    write_plan(path_to_plan, expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved configuration (JSON)")
    parser.add_argument("--catalog", type=Path, required=True, help="area catalog to write (JSON)")
    parser.add_argument("--plan", type=Path, required=True, help="plan to write (JSON)")
    args = parser.parse_args()
    plan_areas(args.config, args.catalog, args.plan)


if __name__ == "__main__":
    end_in_one_line(main)
