"""What is not done once more for each area: with 50,000 of them, planning is what these cost."""

from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local_h5.config.layout import Layout
from local_h5.config.settings import Settings
from local_h5.contracts.results import Fingerprint, sidecar_path
from local_h5.contracts.work_items import read_request
from local_h5.files.digests import DigestMemo
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs import plan, steps
from local_h5.runs.plan_file import lost_requests, write_requests
from local_h5.runs.staleness import NOT_BUILT, AreaStatus, Built, read_built
from local_h5.workflow.configuration import load_settings

ROOT = Path(__file__).parents[3]
REQUESTS = tuple(
    AreaBuildRequest("custom", f"NC-county-{code}", f"County {code}", (AreaFilter("county", "eq", f"37{code:03}"),))
    for code in (1, 3, 5)
)
EXPECTED = {
    request.key: Fingerprint(digit * 64, {"rows": digit * 64}) for request, digit in zip(REQUESTS, "abc", strict=True)
}


def run_in(folder: Path) -> Settings:
    return cast(Settings, SimpleNamespace(layout=Layout(folder), requests=REQUESTS, results=folder))


@pytest.mark.parametrize("damage", ["lost", "other", "shorter", "spaces", "a folder"])
def test_a_request_that_is_lost_or_differs_is_written_again(tmp_path: Path, damage: str) -> None:
    settings = run_in(tmp_path)
    write_requests(settings, EXPECTED)
    assert lost_requests(settings, REQUESTS, EXPECTED) == []
    path = settings.layout.request(REQUESTS[1])
    written = path.read_bytes()
    if damage == "other":
        path.write_bytes(settings.layout.request(REQUESTS[0]).read_bytes())
    elif damage == "shorter":
        path.write_bytes(written[:-20])
    elif damage == "spaces":
        path.write_bytes(written.replace(b"\n", b"\n "))
    else:
        path.unlink()
    if damage == "a folder":
        path.mkdir()
    assert lost_requests(settings, REQUESTS, EXPECTED) == [REQUESTS[1]]
    assert lost_requests(settings, REQUESTS[:1], EXPECTED) == []
    if damage == "a folder":
        path.rmdir()
    write_requests(settings, EXPECTED)
    assert [(item.request, item.fingerprint) for item in map(read_request, map(settings.layout.request, REQUESTS))] == [
        (request, EXPECTED[request.key]) for request in REQUESTS
    ]


def test_a_request_of_another_fingerprint_is_lost(tmp_path: Path) -> None:
    settings = run_in(tmp_path)
    write_requests(settings, EXPECTED)
    later = {**EXPECTED, REQUESTS[2].key: Fingerprint("d" * 64, {"rows": "d" * 64})}
    assert lost_requests(settings, REQUESTS, later) == [REQUESTS[2]]


def test_the_files_of_the_report_are_listed_when_somebody_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    asked: list[Settings] = []
    inner = steps._read_by_report
    monkeypatch.setattr(steps, "_read_by_report", lambda settings: (asked.append(settings), inner(settings))[1])
    settings, memo = load_settings(), DigestMemo(None)
    declared = steps.declared_steps(settings, memo)
    assert steps.needed_steps(settings, declared)
    assert asked == []
    inputs = declared[steps.REPORT].inputs
    assert set(inputs) == {"sidecars", "records"}
    assert len(inputs) == 2
    assert len(cast(Any, inputs["sidecars"])) == len(settings.requests)
    assert len(asked) == 1


def test_a_sidecar_is_read_again_only_for_the_size_of_a_stale_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = run_in(tmp_path)
    built = Built("a" * 64, 1000, {}, "b" * 64)
    one, two, three = (request.key for request in REQUESTS)
    read: list[Path] = []

    def reads(path: Path) -> tuple[None, Built]:
        read.append(path)
        return None, Built("c" * 64, 3000, {}, "d" * 64)

    monkeypatch.setattr(plan, "read_built", reads)
    statuses = {one: AreaStatus(built=built), two: AreaStatus(NOT_BUILT), three: AreaStatus(changed=("weights",))}
    estimate = plan._estimate(settings, statuses, [two, three], [])
    assert read == [tmp_path / three]
    assert estimate.size_bytes == 2000 + 3000, "the mean of the known ones for the new one"


@pytest.mark.parametrize("area", REQUESTS)
def test_an_area_has_the_same_paths_by_request_and_by_name(area: AreaBuildRequest) -> None:
    layout = Layout(Path("results"))
    ways = [area, area.key, PurePosixPath(area.key)]
    for path in (layout.output, layout.request, layout.approval, layout.values):
        assert len({path(way) for way in ways}) == 1
    assert layout.output(area) == Path("results/custom") / f"{area.area_id}.h5"
    assert layout.record("structural", area.key) == Path(f"results/validation/structural/custom/{area.area_id}.json")
    assert sidecar_path(layout.output(area)).name == f"{area.area_id}.h5.result.json"


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({}, NOT_BUILT),
        ({"a.h5": b"x"}, "sidecar missing or unreadable"),
        ({"a.h5.result.json": b"{"}, "sidecar missing or unreadable"),
        ({"a.h5.result.json": b"[]"}, "sidecar of another form"),
        ({"a.h5": b"x", "a.h5.result.json": b"\xff"}, "sidecar missing or unreadable"),
        ({"a.h5.result.json": b"{}"}, "sidecar of another form"),
    ],
)
def test_what_is_wrong_with_a_sidecar(tmp_path: Path, left: dict[str, bytes], said: str) -> None:
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)
    assert read_built(tmp_path / "a.h5") == (said, None)
