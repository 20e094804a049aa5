"""The old worker's keys."""

import pytest
from msgspec.structs import replace

from local_h5.contracts.policy import AppliedPolicy
from local_h5.contracts.records import CheckedFile, Summary, TargetRow, ValidationRecord
from local_h5.contracts.results import Validation
from local_h5.requests import AreaBuildRequest
from local_h5.worker import AreaOutcome, WorkResult, legacy_view

ROW = TargetRow(
    7, 3, "snap", 2024, 0, "age>=18", 200.0, 150.0, -50.0, -0.25, True, True, "passed", "within limits"
)  # fmt: skip
POLICY = AppliedPolicy(enabled=True, on_failure={}, max_population_error=0.1, require_finite=True)
PASSED = Validation("passed", "structure: all checks passed")


def outcome(area_type: str, area_id: str, status: str = "completed", digest: str = "a") -> AreaOutcome:
    request = AreaBuildRequest(area_type, area_id, area_id)
    if status == "failed":
        return AreaOutcome(request, "failed", 0.1, phase="select", error="EmptySelectionError", message="nobody there")
    return AreaOutcome(
        request, status, 0.1, path=request.key, sha256=digest * 64, bytes=9, rows={"person": 1},
        validation=PASSED,
    )  # fmt: skip


def record(of: AreaOutcome, *rows: TargetRow, level: str = "targets", digest: str | None = None) -> ValidationRecord:
    request = of.request
    return ValidationRecord(
        area=CheckedFile(request.area_type, request.area_id, request.key, digest or of.sha256), level=level,
        status="passed", policy=POLICY, summary=Summary(""), targets=rows,
    )  # fmt: skip


def test_all_five_keys() -> None:
    done, kept, failed = (
        outcome("state", "NC"),
        outcome("district", "NC-01", "skipped"),
        outcome("city", "NYC", "failed"),
    )
    insane = replace(ROW, variable="rent", constraints="", value=9e15, error=9e15, relative_error=4e13, sane=False,
                     reason="above 1e13", in_training=None)  # fmt: skip
    unknown = replace(ROW, value=None, error=None, relative_error=None, sane=None, verdict="not_evaluated")
    records = [
        record(done, ROW, insane, unknown),
        record(kept, ROW, digest="b" * 64),  # of another file
        record(kept, ROW, level="structural"),
        record(outcome("state", "AK"), ROW),  # of an area that was not asked for
    ]
    view = legacy_view(WorkResult((done, kept, failed)), records)
    assert list(view) == ["completed", "failed", "errors", "validation_rows", "validation_summary"]
    assert view["completed"] == ["state:NC", "district:NC-01"]
    assert view["failed"] == ["city:NYC"]
    assert view["errors"] == [{"item": "city:NYC", "error": "nobody there", "traceback": ""}]
    assert view["validation_rows"][0] == {
        "area_type": "states", "area_id": "NC", "district": "", "variable": "snap", "target_name": "snap/age>=18",
        "period": 2024, "target_value": 200.0, "sim_value": 150.0, "error": -50.0, "rel_error": -0.25,
        "abs_error": 50.0, "rel_abs_error": 0.25, "sanity_check": "PASS", "sanity_reason": "", "in_training": True,
    }  # fmt: skip
    second, third = view["validation_rows"][1:]
    assert (second["target_name"], second["sanity_check"], second["sanity_reason"]) == ("rent", "FAIL", "above 1e13")
    assert second["in_training"] is False
    assert (third["sim_value"], third["rel_abs_error"], third["sanity_check"]) == (None, None, "SKIP")
    assert view["validation_summary"] == {
        "state:NC": {"n_targets": 3, "n_sanity_fail": 1, "mean_rel_abs_error": pytest.approx((0.25 + 4e13) / 2)}
    }


def test_equal_files_are_told_apart() -> None:
    state, district = outcome("state", "DC"), outcome("district", "DC-01")
    assert state.sha256 == district.sha256
    view = legacy_view(WorkResult((state, district)), [record(district, ROW)])
    assert list(view["validation_summary"]) == ["district:DC-01"]


def test_nothing_was_validated_by_the_model() -> None:
    view = legacy_view(WorkResult((outcome("state", "NC"),)))
    assert (view["validation_rows"], view["validation_summary"]) == ([], {})
