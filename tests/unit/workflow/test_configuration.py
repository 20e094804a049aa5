"""The configuration as Snakemake merges it, and how it was started."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from local_h5.errors import ConfigError
from local_h5.workflow.configuration import load_settings, merge
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.invocation import Invocation, invocation
from local_h5.workflow.steps import all_steps

ROOT = Path(__file__).parents[3]


def test_mappings_are_merged_and_lists_replaced() -> None:
    under = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert merge(under, {"a": {"c": [3]}, "e": 5}) == {"a": {"b": 1, "c": [3]}, "d": 4, "e": 5}


def test_files_and_overrides_lie_on_top_of_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text("results: elsewhere\noutput: {compression: gzip}\n")
    settings = load_settings([mine], ["output={compression: lzf}"])
    assert settings.results == Path("elsewhere")
    assert settings.config["output"]["compression"] == "lzf"


def test_rules_for_missing_values_take_codes_as_text_or_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    params = []
    for text in ('{"-1": false, "NaN": true}', "{-1: false, .nan: true}", "{-1: true, .nan: true}"):
        mine.write_text(f"inputs: {{missing: {{is_female: {text}}}}}\n")
        settings = load_settings([mine])
        json.dumps(settings.config, sort_keys=True, allow_nan=False)  # as a run keeps it
        assert settings.missing.rules["is_female"].keys() == {"-1", "NaN"}
        step = next(step for step in all_steps(settings, DigestMemo(None)) if step.name == "snapshot")
        params.append(step.params)
    assert params[0] == params[1]
    assert params[0] != params[2]  # the source is prepared again


@pytest.mark.parametrize(
    "text", ["is_female", "[is_female]", "{is_female: -1}", "{is_female: {-1: [0]}}", "{is_female: {-1: null}}"]
)
def test_a_malformed_rule_for_missing_values_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"inputs: {{missing: {text}}}\n")
    with pytest.raises(ConfigError, match=r"inputs\.missing"):
        load_settings([mine])


@pytest.mark.parametrize(
    ("override", "message"),
    [("results", "expected KEY=VALUE, found results"), ("notes={", "notes: expected a value in YAML"), ("no=1", "no")],
)
def test_a_malformed_override_is_named(override: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(ConfigError, match=message):
        load_settings([], [override])


def test_outside_the_project_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="Run in the folder that holds the Snakefile"):
        load_settings()


def args_to_api(args: SimpleNamespace) -> Invocation:
    """Named like Snakemake's function, whose options are looked up."""
    return invocation() if args is not None else Invocation("query")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Invocation("run")),
        ({"nolock": True}, Invocation("run", locks=False)),
        ({"dryrun": True}, Invocation("dry-run")),
        ({"unlock": True}, Invocation("unlock")),
        ({"summary": True}, Invocation("query")),
        ({"report": "report.html"}, Invocation("query")),
        ({"report": "report.html", "report_after_run": True}, Invocation("run", whole=True)),
        ({"batch": "all=1/2"}, Invocation("run", whole=True)),
        ({"targets": {"all_states"}}, Invocation("run", targets=("all_states",))),
    ],
)
def test_how_snakemake_was_started(options: dict[str, object], expected: Invocation) -> None:
    assert args_to_api(SimpleNamespace(**options)) == expected


def test_snakemake_still_has_the_function_and_its_options() -> None:
    import inspect

    cli = pytest.importorskip("snakemake.cli")
    assert next(iter(inspect.signature(cli.args_to_api).parameters)) == "args"
    from local_h5.workflow.invocation import _QUERIES

    known = {action.dest for action in cli.get_argument_parser()._actions}
    assert {*_QUERIES, "dryrun", "unlock", "nolock", "report", "report_after_run"} <= known
