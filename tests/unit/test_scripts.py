"""Every script: one function whose signature and docstring are its command line."""

import ast
import importlib
import inspect
import runpy
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
