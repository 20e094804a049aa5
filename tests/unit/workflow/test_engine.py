"""What reaches into Snakemake: that it is still there, and that a run does not go on when it is not."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from local_h5.errors import RunningError
from local_h5.workflow.engine import _QUERIES, Engine


def engine(monkeypatch: pytest.MonkeyPatch, *args: str, dryrun: bool = False, command: str = "snakemake") -> Engine:
    monkeypatch.setattr(sys, "argv", [command, *args])
    return Engine(workflow(dryrun=dryrun))


def workflow(**changes: Any) -> SimpleNamespace:
    dag = SimpleNamespace(forcefiles=set())
    settings = SimpleNamespace(forceall=False, forcetargets=False, forcerun=set(), rerun_triggers={"mtime"})
    return SimpleNamespace(
        is_main_process=changes.get("is_main", True),
        output_settings=SimpleNamespace(dryrun=changes.get("dryrun", False)),
        workflow_settings=SimpleNamespace(persistence_backend="file"),
        dag_settings=SimpleNamespace(**{**vars(settings), **changes.get("dag_settings", {})}),
        dag=dag,
    )


@pytest.fixture(scope="module", autouse=True)
def cli() -> ModuleType:
    """Snakemake's own command line."""
    return pytest.importorskip("snakemake.cli")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("-j", "2", "all"), "run"),
        (("--unlock", "all"), "unlock"),
        (("--summary", "-j", "1"), "other"),
        (("--touch", "-j", "1"), "other"),
        (("--report", "page.html"), "other"),
        (("--report", "page.html", "--report-after-run", "-j", "1"), "run"),
    ],
)
def test_how_snakemake_was_started(args: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, *args).start == expected


def test_a_dry_run_is_known_by_snakemakes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, "-n", dryrun=True).start == "dry-run"


@pytest.mark.parametrize("command", ["pytest", "/home/somebody/run.py"])
def test_another_program_is_no_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, "-j", "2", command=command).start == "other"


def test_the_module_is_the_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine(monkeypatch, "-j", "2", "all", command="lib/snakemake/__main__.py").targets == ("all",)


@pytest.mark.parametrize(
    "settings",
    [
        {"forceall": True},
        {"forcetargets": True},
        {"forcerun": {"plan"}},
        {"rerun_triggers": {"mtime", "params"}},
    ],
)
def test_reasons_of_its_own(settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not Engine(workflow()).has_own_reasons
    assert Engine(workflow(dag_settings=settings)).has_own_reasons


def test_a_job_that_was_cut_off_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake/incomplete").mkdir(parents=True)
    assert not Engine(workflow()).has_own_reasons
    (tmp_path / ".snakemake/incomplete/abc").touch()
    assert Engine(workflow()).has_own_reasons


def test_a_snakemake_that_cannot_be_told_is_refused() -> None:
    known = workflow()
    Engine(known).force([Path("results/a.h5")])
    assert known.dag.forcefiles == {"results/a.h5"}
    del known.dag.forcefiles
    with pytest.raises(RunningError, match=r"9\.27 to below 10"):
        Engine(known).force([Path("results/a.h5")])


def test_clocks_are_ignored() -> None:
    import asyncio

    known = workflow()
    Engine(known).ignore_clocks()
    asyncio.run(known.dag.check_output_mtime("job", ["output"]))  # raises nothing


def test_snakemake_still_has_what_is_used(cli: ModuleType) -> None:
    """Where each lies in Snakemake's source; a version that moves one of them fails here, not in somebody's run."""
    import inspect

    from snakemake.dag import DAG
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake.settings.types import DAGSettings, OutputSettings, WorkflowSettings

    known = {action.dest for action in cli.get_argument_parser()._actions}
    assert {*_QUERIES, "unlock", "nolock", "report", "report_after_run", "batch", "targets"} <= known
    assert {"forceall", "forcetargets", "forcerun", "rerun_triggers"} <= set(DAGSettings.__dataclass_fields__)
    assert "dryrun" in OutputSettings.__dataclass_fields__
    assert "persistence_backend" in WorkflowSettings.__dataclass_fields__
    assert "self.forcefiles = set()" in inspect.getsource(DAG.__init__)
    assert list(inspect.signature(DAG.check_output_mtime).parameters) == ["self", "job", "expanded_output"]
    assert "job_rate_limiter" in inspect.getsource(JobScheduler)
