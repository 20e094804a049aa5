"""Rules and the comparison by content read one declaration of each step; the command of its rule names all of it."""

import re
from pathlib import Path

import pytest

from local_h5.files.digests import DigestMemo
from local_h5.runs.step import Step
from local_h5.runs.steps import declared_steps, needed_steps
from local_h5.workflow.configuration import load_settings

ROOT = Path(__file__).parents[3]
RULES = {
    match["step"]: rule
    for path in sorted((ROOT / "rules").glob("*.smk"))
    for rule in re.split(r"^(?=rule |checkpoint )", path.read_text(), flags=re.MULTILINE)
    if (match := re.search(r'writes\("(?P<step>[^"]+)"\)', rule)) and rule.startswith(("rule ", "checkpoint "))
}
BY_CONFIGURATION = {"plan", "report"}
"""Steps whose script finds its files by the configuration."""


@pytest.fixture(scope="module")
def steps() -> dict[str, Step]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return declared_steps(load_settings(), DigestMemo(None))


def test_every_step_has_a_rule_and_every_rule_a_step(steps: dict[str, Step]) -> None:
    assert {name.replace("_regional", "_{package}") for name in steps} == RULES.keys()


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_command_names_what_the_step_declares(name: str, steps: dict[str, Step]) -> None:
    step, rule = steps[name], RULES[name]
    shell = rule[rule.index("    shell:") :]
    assert f'writes("{name}")' in rule
    read = set(re.findall(r"\{input\.(\w+)", shell))
    assert read <= {*step.inputs, *step.handed}
    if name not in BY_CONFIGURATION:
        assert read == {*step.inputs, *step.handed}
    written = set(re.findall(r"\{output\.(\w+)", shell))
    assert written <= set(step.outputs)
    if "{output:q}" not in shell and "{params.folder:q}" not in shell:
        assert written >= {role for role in step.outputs if role != "metadata"}
    assert name.startswith("fetch_") or f'run=step("{name}", "' in rule


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_parameters_of_a_rule_decide(name: str, steps: dict[str, Step]) -> None:
    """What a rule hands over besides files stands among the step's parameters, so that a change of it is seen."""
    section = re.search(r"^    params:\n(.*?)^    \w", RULES[name], re.MULTILINE | re.DOTALL)
    given = set(re.findall(r"^        (\w+)=", section.group(1), re.MULTILINE)) if section else set()
    other = {"run", "config", "folder", "cache", "sha256", "unknown"}  # paths, and two with a longer name in the step
    assert given - other <= set(steps[name].params)


def test_own_inputs_need_no_example(steps: dict[str, Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert {step.name for step in needed_steps(load_settings(), steps)} >= {"fetch_microdata", "example_source"}
    own = [tmp_path / name for name in ("weights.npy", "geography.npz", "source.h5")]
    for path in own:
        path.touch()
    given = ", ".join(f"{path.stem}: {path}" for path in own).replace("source:", "dataset:")
    settings = load_settings([], [f"inputs={{{given}}}"])
    names = {step.name for step in needed_steps(settings, declared_steps(settings, DigestMemo(None)))}
    assert names == {
        "fetch_geography_tables", "fetch_county_cbsa", "snapshot", "geography_regional", "clones_regional",
        "takeup_regional", "plan",
    }  # fmt: skip
