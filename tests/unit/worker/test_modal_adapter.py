"""The Modal adapter by Modal's own local invocation: no account, no network."""

import importlib.util
import json
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from worker_world import ROOT, Prepared

from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.plan_file import write_plan
from local_h5.runs.work_items import fingerprints_here
from local_h5.worker import WorkItem, WorkResult, run_areas, write_items

ADAPTER = ROOT / "adapters" / "modal" / "build_areas.py"
UNKNOWN = AreaBuildRequest("custom", "unknown", "?", (AreaFilter("county", "eq", ("37991",)),))

pytestmark = pytest.mark.filterwarnings("ignore:The build_batch function is executing locally:UserWarning")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def refuse(*args: object) -> None:
        raise AssertionError("the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    spec = importlib.util.spec_from_file_location("build_areas", ADAPTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class LocalBatches:
    """Stands in for the function's remote ``map``: each call by ``.local``, and one container that is lost."""

    function: Any
    project: Path
    output: Path
    lost: str | None = None

    def map(self, batches: Iterable[dict[str, Any]], *, return_exceptions: bool) -> Iterator[object]:
        assert return_exceptions
        for batch in batches:
            if self.lost is not None and self.lost in json.dumps(batch):
                yield TimeoutError("the container was lost")
            else:
                yield self.function.local(batch, str(self.project), str(self.output))


def test_one_call_is_one_batch_of_the_worker(prepared: Prepared, adapter: ModuleType, tmp_path: Path) -> None:
    items = [WorkItem(prepared.request("NC-01")), WorkItem(UNKNOWN), WorkItem(prepared.request("AK"))]
    answer = adapter.build_batch.local(write_items(items), str(prepared.folder), str(tmp_path / "modal"))
    result = WorkResult.from_json(json.loads(json.dumps(answer)))
    assert [outcome.status for outcome in result.outcomes] == ["completed", "failed", "completed"]
    here = fingerprints_here(prepared.state)
    expected = run_areas(items, prepared.state, tmp_path / "worker", fingerprint_of=here)
    assert [outcome.sha256 for outcome in result.outcomes] == [outcome.sha256 for outcome in expected.outcomes]
    for name in ("districts/NC-01.h5.result.json", "states/AK.h5.result.json"):
        assert (tmp_path / "modal" / name).read_bytes() == (tmp_path / "worker" / name).read_bytes()


def test_a_planned_run_in_batches(
    prepared: Prepared, adapter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    requests = [prepared.request(name) for name in ("US", "AK", "DC", "NC", "NC-01", "NC-12")]
    project = tmp_path / "project"
    shutil.copytree(prepared.results / "prepared", project / "results" / "prepared")
    for name in ("scripts", "config"):
        (project / name).symlink_to(ROOT / name)
    monkeypatch.chdir(project)
    here = fingerprints_here(prepared.state)
    write_plan(project / "results/prepared/plan.json", {request.key: here(request) for request in requests})
    catalog = [request.to_json() for request in requests]
    (project / "results/prepared/catalog.json").write_text(json.dumps(catalog))

    calls = LocalBatches(adapter.build_batch, project, tmp_path / "out", lost='"NC-12"')
    monkeypatch.setattr(adapter, "build_batch", calls)
    with pytest.raises(SystemExit) as ended:
        adapter.main(batches=3, result="result.json")
    assert ended.value.code == 1
    first = WorkResult.from_json(json.loads(Path("result.json").read_text()))
    assert len(first.outcomes) == len(requests)
    assert {outcome.phase for outcome in first.failed} == {"worker"}
    assert "district:NC-12 failed: the worker ended before it answered (TimeoutError" in capsys.readouterr().err

    calls.lost = None
    adapter.main(batches=3, result="result.json")
    second = WorkResult.from_json(json.loads(Path("result.json").read_text()))
    redone = {outcome.key for outcome in second.outcomes if outcome.status == "completed"}
    assert redone == {outcome.key for outcome in first.failed}
    assert {outcome.status for outcome in second.outcomes} == {"completed", "skipped"}
