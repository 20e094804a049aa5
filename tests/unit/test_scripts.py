"""Every script: one function whose signature and docstring are its command line."""

import ast
import importlib
import inspect
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_h5.workflow.command import command_line

FOLDER = Path(__file__).parents[2] / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.py"))
LONGEST = 175


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def function_of(script: Path) -> str:
    """The name of the function that the script runs."""
    last = ast.parse(script.read_text()).body[-1]
    assert isinstance(last, ast.If)
    assert ast.unparse(last.test) == "__name__ == '__main__'"
    (call,) = (node for node in last.body if isinstance(node, ast.Expr))
    assert isinstance(call.value, ast.Call)
    assert ast.unparse(call.value.func) == "run"
    return ast.unparse(call.value.args[0])


def test_it_has_a_help(script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {script.name} ")
    assert "required:" in shown or script.stem == "run_worker"


def test_its_function_can_be_called_by_hand_and_says_what_it_takes(script: Path) -> None:
    function = getattr(importlib.import_module(script.stem), function_of(script))
    assert function.__doc__
    parser = command_line(function)  # refuses what is not documented, and types that it does not know
    parameters = inspect.signature(function).parameters
    described = {action.dest: action for action in parser._actions if action.dest != "help"}
    assert list(described) == list(parameters)
    for name, action in described.items():
        assert action.help, name
        is_path = "Path" in str(parameters[name].annotation)
        assert is_path == name.startswith(("path_to_", "paths_to_")), name


def test_no_option_is_written_twice(script: Path) -> None:
    tree = ast.parse(script.read_text())
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not [text for text in texts if text.startswith("--")]
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert "argparse" not in modules


def test_each_is_short() -> None:
    lines = {script.name: len(script.read_text().splitlines()) for script in SCRIPTS}
    assert sorted(lines.values())[len(lines) // 2] <= 60, lines
    assert max(lines.values()) <= LONGEST, lines


def lists_of_options(folder: Path) -> Iterator[tuple[str, Path, set[str], bool]]:
    """Program, script, options given in a list that begins with a script, and whether more come from elsewhere."""
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                not isinstance(node, ast.List | ast.Tuple)
                or not node.elts
                or not isinstance(node.elts[0], ast.Constant)
            ):
                continue
            if str(node.elts[0].value).startswith("scripts/"):
                heads = (each.values[0] if isinstance(each, ast.JoinedStr) else each for each in node.elts)
                texts = (str(head.value) for head in heads if isinstance(head, ast.Constant))
                given = {text.partition("=")[0] for text in texts if text.startswith("--")}
                starred = any(isinstance(each, ast.Starred) for each in node.elts)
                yield path.name, FOLDER.parent / str(node.elts[0].value), given, starred


CALLS = list(lists_of_options(FOLDER.parent / "benchmarks"))


def test_benchmarks_call_scripts() -> None:
    assert {"plan_areas", "build_area", "run_worker"} <= {script.stem for _, script, _, _ in CALLS}


@pytest.mark.parametrize(("program", "called", "given", "more"), CALLS)
def test_a_benchmark_gives_a_script_what_it_takes(program: str, called: Path, given: set[str], more: bool) -> None:
    """No test runs the benchmarks."""
    function = getattr(importlib.import_module(called.stem), function_of(called))
    actions = [action for action in command_line(function)._actions if action.dest != "help"]
    assert given <= {option for action in actions for option in action.option_strings}, program
    missing = [action.dest for action in actions if action.required and not given & set(action.option_strings)]
    assert more or not missing, program
