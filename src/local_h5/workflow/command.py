"""Command lines of scripts, made from their typed functions. An error is one line on standard error.

A script is one function and, below it, ``run(function)``: see :func:`run`.
"""

import argparse
import inspect
import json
import os
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from local_h5.errors import LocalH5Error
from local_h5.files.atomic import error_line

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it."""

_SECTION = re.compile(r"^([A-Z]\w*):\n(?= )", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+):\s", re.MULTILINE)


def run(
    function: Callable[..., object],
    *,
    errors: tuple[type[Exception], ...] = (),
    error_status: int = 1,
    arguments: Sequence[str] | None = None,
) -> None:
    """Call a function with the options of the command line, and end with one line if it fails.

    The function has types and a docstring in Google's style. Each parameter is an option: ``path_to_weights`` is
    ``--weights``, ``paths_to_records`` is ``--records`` and ``takeup_filter`` is ``--takeup-filter``. It is required
    unless it has a default. Its help is its line below ``Args:``. Its type is one of these, or ``X | None``:

    - ``Path``, ``str``, ``int``, ``float``; ``bool`` as a flag; ``Literal`` of texts as a choice;
    - ``list`` or ``tuple[X, ...]`` of these: several values; none at all only where there is a default;
    - ``Mapping``: an object in JSON.

    A wrong command line ends with status 2 and a message. Everything else is as in :func:`end_in_one_line`.

    Args:
        function: what the script does.
        errors: further kinds of error that become one line.
        error_status: exit status after an error.
        arguments: of the command line; those of the process if None.

    Raises:
        TypeError: the signature cannot become a command line, or the docstring has other arguments.
    """
    given = vars(command_line(function).parse_args(arguments))
    end_in_one_line(lambda: function(**given), errors=errors, error_status=error_status)


def end_in_one_line(
    work: Callable[[], object], *, errors: tuple[type[Exception], ...] = (), error_status: int = 1
) -> None:
    """Do the work of a process. An error of this package or of a file is one line and no traceback.

    It returns when all is well, so that a process can run several scripts. Otherwise the process ends: with the number
    that ``work`` returns, unless it is 0; with ``error: …`` and ``error_status`` after an error; with 130 after Ctrl-C.

    Args:
        work: what to do.
        errors: further kinds of error that become one line.
        error_status: exit status after an error.
    """
    expected: tuple[type[Exception], ...] = (LocalH5Error, OSError, *errors)
    try:
        returned = work()
        sys.stdout.flush()
        status = returned if isinstance(returned, int) else 0
    except BrokenPipeError:  # the reader of standard output has closed it, and Python flushes once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = error_status
    except expected as error:
        _say(f"error: {error_line(error)}")
        status = error_status
    except KeyboardInterrupt as stop:
        _say("; ".join(["interrupted", *map(str, stop.args)]))
        status = INTERRUPTED
    if status:
        sys.exit(status)


def command_line(function: Callable[..., object]) -> argparse.ArgumentParser:
    """The parser of a function's command line. Each value is stored under the parameter's name.

    Raises:
        TypeError: as :func:`run`.
    """
    head, sections = _sections(function.__doc__ or "")
    described = _described(sections.pop("Args", ""))
    helps = dict(described)
    sections.pop("Raises", None)
    parameters = inspect.signature(function, eval_str=True).parameters
    names = [name for name, _ in described]
    if function.__doc__ is not None and names != list(parameters):  # there are none under python -OO
        raise TypeError(
            f"{function.__name__}: below Args: expected {', '.join(parameters) or 'none'}, "
            f"found {', '.join(names) or 'none'}"
        )
    parser = argparse.ArgumentParser(description=_one_line(head), add_help=False)
    required, optional = parser.add_argument_group("required"), parser.add_argument_group("optional")
    for title, text in sections.items():
        parser.add_argument_group(title.lower(), _one_line(text))
    for name, parameter in parameters.items():
        group = required if parameter.default is parameter.empty else optional
        try:
            options = _options(parameter)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: parameter {name}: {error}") from None
        help_ = _one_line(helps.get(name, "")) + _default(parameter.default)
        group.add_argument(_option(name), dest=name, help=help_.replace("%", "%%"), **options)
    optional.add_argument("-h", "--help", action="help", help="show this and end")
    return parser


def _option(name: str) -> str:
    return "--" + re.sub(r"^paths?_to_", "", name).replace("_", "-")


def _options(parameter: inspect.Parameter) -> dict[str, Any]:
    """The options of ``add_argument`` for a parameter."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise TypeError("expected one that can be given by its name")
    required = parameter.default is parameter.empty
    common: dict[str, Any] = {"required": True} if required else {"default": parameter.default}
    kind = _without_none(parameter.annotation)
    origin = get_origin(kind)
    if kind is bool:
        return {**common, "action": "store_true" if parameter.default is False else argparse.BooleanOptionalAction}
    if origin is list or (origin is tuple and get_args(kind)[1:] == (...,)):
        action = {"action": _StoreTuple} if origin is tuple else {}
        return {**common, **_single(get_args(kind)[0]), **action, "nargs": "+" if required else "*"}
    return {**common, **_single(kind)}


def _single(kind: Any) -> dict[str, Any]:
    """The options of ``add_argument`` for one value of a type."""
    if kind in _READ:
        read, metavar = _READ[kind]
        return {"type": read, "metavar": metavar}
    if get_origin(kind) is Literal and all(isinstance(choice, str) for choice in get_args(kind)):
        return {"choices": get_args(kind)}
    if kind is Mapping or get_origin(kind) is Mapping:
        return {"type": _mapping, "metavar": "JSON"}
    known = "Path, str, int, float, bool, Literal of texts, Mapping, or list or tuple[X, ...] of one of these"
    raise TypeError(f"expected {known}, found {inspect.formatannotation(kind)}")


def _without_none(kind: Any) -> Any:
    """``X`` of ``X | None``."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    others = [choice for choice in get_args(kind) if choice is not type(None)]
    return others[0] if len(others) == 1 else kind


class _StoreTuple(argparse.Action):
    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, __: object = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def _path(text: str) -> Path:
    if not text:  # Path("") would be the folder that one is in
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected an object in JSON, found {text!r} ({error})") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected an object in JSON, found {text!r}")
    return value


_READ: Mapping[Any, tuple[Callable[[str], object], str]] = {
    Path: (_path, "PATH"),
    str: (str, "TEXT"),
    int: (int, "NUMBER"),
    float: (float, "NUMBER"),
}


def _sections(docstring: str) -> tuple[str, dict[str, str]]:
    """First paragraph of a docstring, and the text below each heading."""
    head, *rest = _SECTION.split(inspect.cleandoc(docstring))
    return head.partition("\n\n")[0], dict(zip(rest[::2], rest[1::2], strict=True))


def _described(section: str) -> list[tuple[str, str]]:
    """Names and texts of the arguments below ``Args:``."""
    _, *rest = _ARGUMENT.split(inspect.cleandoc(f"\n{section}"))
    return list(zip(rest[::2], rest[1::2], strict=True))


def _default(value: object) -> str:
    shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    hidden = value is None or value is inspect.Parameter.empty or isinstance(value, bool) or not shown
    return "" if hidden else f" [{shown}]"


def _one_line(text: str) -> str:
    """A text of a docstring in one line, without marks of code."""
    return " ".join(text.replace("``", "").split())


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
