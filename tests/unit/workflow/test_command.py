"""From a typed function to a command line, and how a script ends."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_h5.errors import ConfigError
from local_h5.workflow.command import command_line, end_in_one_line, run

Choice = Literal["none", "gzip", "lzf"]


def every_type(
    path_to_input: Path,
    paths_to_records: list[Path],
    count: int,
    name: str | None,
    share: float = 0.1,
    compression: Choice = "none",
    rules: Mapping[str, Any] | None = None,
    chosen: tuple[str, ...] | None = None,
    numbers: tuple[int, ...] = (1, 2),
    choices: list[Choice] | None = None,
    rebuild: bool = False,
    keep: bool = True,
) -> dict[str, object]:
    """Take every type there is, 100 % of them.

    The second paragraph is for readers of the code.

    Args:
        path_to_input: input of ``build``,
            on two lines.
        paths_to_records: records.
        count: how many: 5 % of all.
        name: a name.
        share: a share.
        compression: of the file.
        rules: rules.
        chosen: some.
        numbers: numbers.
        choices: choices.
        rebuild: again.
        keep: what is there.

    Assumes:
        Nothing, at 0 %.

    Raises:
        ValueError: never.

    Returns:
        What it was given.
    """
    return dict(locals())


REQUIRED = ("--input", "a/b.h5", "--records", "r1", "r2", "--count", "3", "--name", "x")
DEFAULTS = {
    "path_to_input": Path("a/b.h5"), "paths_to_records": [Path("r1"), Path("r2")], "count": 3, "name": "x",
    "share": 0.1, "compression": "none", "rules": None, "chosen": None, "numbers": (1, 2), "choices": None,
    "rebuild": False, "keep": True,
}  # fmt: skip


def read(*arguments: str) -> dict[str, object]:
    return vars(command_line(every_type).parse_args(arguments))


def test_what_has_a_default_is_optional() -> None:
    assert read(*REQUIRED) == DEFAULTS


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (("--share=-2.5e-1",), {"share": -0.25}),
        (("--compression", "lzf"), {"compression": "lzf"}),
        (("--rules", '{"a": {"-1": false}}'), {"rules": {"a": {"-1": False}}}),
        (("--chosen",), {"chosen": ()}),
        (("--chosen", "b", "c d"), {"chosen": ("b", "c d")}),
        (("--numbers", "-7"), {"numbers": (-7,)}),
        (("--choices", "gzip", "none"), {"choices": ["gzip", "none"]}),
        (("--rebuild", "--no-keep"), {"rebuild": True, "keep": False}),
    ],
)
def test_each_type_is_read(arguments: tuple[str, ...], changed: Mapping[str, object]) -> None:
    assert read(*REQUIRED, *arguments) == {**DEFAULTS, **changed}


PLAIN = st.text("aZ0é漢 -=+'\"$%{}[]~/\\.,:;#@*", min_size=1)


@given(
    path=PLAIN.filter(lambda text: text != "--"),
    number=st.integers(),
    share=st.floats(allow_nan=False),
    names=st.lists(PLAIN),
)
def test_what_was_written_is_what_arrives(path: str, number: int, share: float, names: list[str]) -> None:
    # Before Python 3.13, argparse drops a value that is nothing but "--".
    dashed = [name for name in names if not name.startswith("-")]  # those are options to any command line
    found = read(
        f"--input={path}", "--records", "r", f"--count={number}", f"--name={path}", f"--share={share!r}",
        "--chosen", *dashed,
    )  # fmt: skip
    assert (found["path_to_input"], found["count"], found["name"]) == (Path(path), number, path)
    assert (found["share"], found["chosen"]) == (share, tuple(dashed))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (REQUIRED[2:], "required: --input"),
        ((*REQUIRED[:2], "--records", *REQUIRED[5:]), "argument --records: expected at least one argument"),
        ((*REQUIRED, "--count", "3.0"), "argument --count: invalid int value: '3.0'"),
        ((*REQUIRED, "--compression", "zip"), "argument --compression: invalid choice: 'zip'"),
        ((*REQUIRED, "--choices", "zip"), "argument --choices: invalid choice: 'zip'"),
        ((*REQUIRED, "--input", ""), "argument --input: expected a path, found nothing"),
        ((*REQUIRED, "--records", "a", ""), "argument --records: expected a path, found nothing"),
        ((*REQUIRED, "--rules", "{"), "argument --rules: expected an object in JSON, found '{'"),
        ((*REQUIRED, "--rules", "[]"), "argument --rules: expected an object in JSON, found '[]'"),
        ((*REQUIRED, "--other", "1"), "unrecognized arguments: --other 1"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_calls_nothing(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(every_type, arguments=arguments)
    assert end.value.code == 2
    printed = capsys.readouterr()
    assert said in printed.err.splitlines()[-1]
    assert printed.out == ""


def test_the_help_is_the_docstring(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        run(every_type, arguments=["--help"])
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for text in (
        "Take every type there is, 100 % of them. required: --input PATH input of build, on two lines.",
        "--records PATH [PATH ...] records.",
        "--count NUMBER how many: 5 % of all.",
        "--share NUMBER a share. [0.1]",
        "--compression {none,gzip,lzf} of the file. [none]",
        "--rules JSON rules. --chosen",
        "numbers. [1 2]",
        "--rebuild again.",
        "assumes: Nothing, at 0 %. returns: What it was given.",
    ):
        assert text in shown
    assert "second paragraph" not in shown
    assert "ValueError" not in shown


def undocumented(path_to_input: Path, count: int) -> None:
    """Do.

    Args:
        path_to_input: input.
    """


def of_another_time(path_to_input: Path) -> None:
    """Do.

    Args:
        path_to_input: input.
        count: gone.
    """


def in_another_order(path_to_input: Path, count: int) -> None:
    """Do.

    Args:
        count: how many.
        path_to_input: input.
    """


def said_twice(path_to_input: Path) -> None:
    """Do.

    Args:
        path_to_input: input.
        path_to_input: output.
    """


def without_args(path_to_input: Path) -> None:
    """Do."""


@pytest.mark.parametrize("function", [undocumented, of_another_time, in_another_order, said_twice, without_args])
def test_a_docstring_that_says_something_else_is_refused(function: Callable[..., None]) -> None:
    with pytest.raises(TypeError, match=rf"{function.__name__}: below Args: expected path_to_input"):
        command_line(function)


def make(annotation: object, default: object = None) -> Callable[..., None]:
    def function(value: Any = default) -> None:
        """Do.

        Args:
            value: a value.
        """

    function.__annotations__["value"] = annotation
    return function


@pytest.mark.parametrize(
    "annotation",
    [
        bytes, Any, object, Path | str, int | str | None, dict[str, int], set[str], tuple[int, str], tuple[int],
        list[list[int]], list[Any], Literal[1, 2], Literal["a", 1], Callable[[], int], "Path | bytes", ConfigError,
    ],
)  # fmt: skip
def test_an_unknown_type_is_refused_before_anything_is_read(annotation: object) -> None:
    with pytest.raises(TypeError, match="function: parameter value: expected Path, str, int"):
        run(make(annotation), arguments=["--help"])


def test_a_type_may_be_written_as_text() -> None:
    assert vars(command_line(make("Path | None")).parse_args(["--value", "x"])) == {"value": Path("x")}


def rest(*value: int) -> None:
    """Do.

    Args:
        value: a value.
    """


def rest_by_name(**value: int) -> None:
    """Do.

    Args:
        value: a value.
    """


def by_place(value: int, /) -> None:
    """Do.

    Args:
        value: a value.
    """


@pytest.mark.parametrize("function", [rest, rest_by_name, by_place])
def test_a_parameter_without_a_name_of_its_own_is_refused(function: Callable[..., None]) -> None:
    with pytest.raises(TypeError, match="parameter value: expected one that can be given by its name"):
        command_line(function)


def test_two_parameters_of_one_name_are_refused() -> None:
    def function(path_to_value: Path, value: str) -> None:
        """Do.

        Args:
            path_to_value: a path.
            value: a value.
        """

    with pytest.raises(Exception, match="conflicting option string: --value"):
        command_line(function)


def test_without_docstrings_it_still_runs() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "from pathlib import Path\nfrom local_h5.workflow.command import run\n"
    code += 'def function(path_to_input: Path) -> None:\n    "Do."\n    print(path_to_input)\nrun(function)'
    command = [sys.executable, "-OO", "-c", code, "--input", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "x\n"


def raises(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        """Do."""
        raise error

    return work


def test_an_end_without_trouble_lets_the_caller_go_on() -> None:
    for returned in (None, 0, False, "text", Path("x")):
        end_in_one_line(lambda value=returned: value)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConfigError("a.yaml: b: expected c, found d\ne"), "error: a.yaml: b: expected c, found d e\n"),
        (FileNotFoundError(2, "No such file or directory", "w.npy"), "error: w.npy: No such file or directory\n"),
        (OSError("Unable to open\nfile"), "error: Unable to open file\n"),
        (PermissionError(13, "Permission denied", "/x"), "error: /x: Permission denied\n"),
    ],
)
def test_an_error_is_one_line_and_status_1(error: Exception, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    for options, status in (({}, 1), ({"error_status": 2}, 2)):
        with pytest.raises(SystemExit) as end:
            run(raises(error), arguments=[], **options)
        assert end.value.code == status
        assert capsys.readouterr().err == line


def test_a_script_names_further_errors_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(raises(ZeroDivisionError("by 0")), errors=(ArithmeticError,), arguments=[])
    assert capsys.readouterr().err == "error: by 0\n"


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(raises(ZeroDivisionError("by 0")), arguments=[])


@pytest.mark.parametrize(
    ("stop", "line"),
    [(KeyboardInterrupt(), "interrupted\n"), (KeyboardInterrupt("call again"), "interrupted; call again\n")],
)
def test_an_interruption_is_one_line_and_status_130(
    stop: KeyboardInterrupt, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(raises(stop), arguments=[])
    assert end.value.code == 130
    assert capsys.readouterr().err == line


def test_a_number_that_is_returned_is_the_exit_status() -> None:
    with pytest.raises(SystemExit) as end:
        end_in_one_line(lambda: 3)
    assert end.value.code == 3


def test_a_reader_who_has_had_enough_sees_no_error() -> None:
    code = "from local_h5.workflow.command import end_in_one_line as e; e(lambda: print('line\\n' * 100_000))"
    done = subprocess.run(f'{sys.executable} -c "{code}" | head -1', shell=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("line\n", "")
