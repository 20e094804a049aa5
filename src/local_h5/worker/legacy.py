"""A worker's result with the keys of the older worker, for programs that read those."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from local_h5.contracts.records import TargetRow, ValidationRecord
from local_h5.contracts.work_results import WorkResult
from local_h5.requests import FOLDERS, AreaType


def legacy_view(result: WorkResult, targets: Iterable[ValidationRecord] = ()) -> dict[str, Any]:
    """``completed``, ``failed``, ``errors``, ``validation_rows`` and ``validation_summary``.

    Areas are named ``type:id``. Skipped ones count as completed, because their files are there and correct. An error's
    ``traceback`` is empty. As in the older worker, validation means targets, by the model, without structural checks.
    An infinite relative error cannot occur, because errors are relative to at least 1.

    Args:
        result: to be shown.
        targets: records of the level ``targets``, from the rules that run the model; those of other files than the
            result's, and of areas that are not in it, are left out.
    """
    files = {(outcome.path, outcome.sha256): outcome for outcome in result.outcomes}
    shown = [
        (files[record.area.path, record.area.sha256], record)
        for record in targets
        if record.level == "targets" and (record.area.path, record.area.sha256) in files
    ]
    rows = {
        outcome.key: [_row(outcome.request.area_type, outcome.request.display_name, row) for row in record.targets]
        for outcome, record in shown
    }
    return {
        "completed": [outcome.key for outcome in result.outcomes if outcome.status != "failed"],
        "failed": [outcome.key for outcome in result.failed],
        "errors": [{"item": outcome.key, "error": outcome.message, "traceback": ""} for outcome in result.failed],
        "validation_rows": [row for listed in rows.values() for row in listed],
        "validation_summary": {key: _summary(listed) for key, listed in rows.items() if listed},
    }


def _row(area_type: AreaType, display_name: str, row: TargetRow) -> dict[str, Any]:
    return {
        "area_type": FOLDERS[area_type],
        "area_id": display_name,
        "district": "",
        "variable": row.variable,
        "target_name": f"{row.variable}/{row.constraints}" if row.constraints else row.variable,
        "period": row.period,
        "target_value": row.target,
        "sim_value": row.value,
        "error": row.error,
        "rel_error": row.relative_error,
        "abs_error": None if row.error is None else abs(row.error),
        "rel_abs_error": None if row.relative_error is None else abs(row.relative_error),
        "sanity_check": "SKIP" if row.sane is None else "PASS" if row.sane else "FAIL",
        "sanity_reason": "" if row.sane is not False else row.reason,
        "in_training": bool(row.in_training),
    }


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    errors = [row["rel_abs_error"] for row in rows if row["rel_abs_error"] is not None]
    return {
        "n_targets": len(rows),
        "n_sanity_fail": sum(row["sanity_check"] == "FAIL" for row in rows),
        "mean_rel_abs_error": round(math.fsum(errors) / len(errors), 4) if errors else 0.0,
    }
