"""JSON and YAML as typed structures, and back. A document that does not fit gives an error of one line.

A structure is a frozen :class:`msgspec.Struct`. The JSON schema of the document is made from it
(:mod:`local_h5.contracts.schemas`). Reading is strict: it refuses an unknown or repeated key, a number out of
range, NaN and a value of another type. The error names the file, the place in it, what was expected and what was found.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, Union, get_args, get_origin

import msgspec

from local_h5.errors import LocalH5Error
from local_h5.files.atomic import why_unread
from local_h5.suggestions import did_you_mean

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

T = TypeVar("T")

_NO_BREAK = r"(?!\n)"


def matching(pattern: str) -> msgspec.Meta:
    """A text that matches a pattern as a whole. Python's ``$`` alone would allow a line break after it."""
    return msgspec.Meta(pattern=f"^{pattern}${_NO_BREAK}")


Text = Annotated[str, msgspec.Meta(min_length=1)]
FilePath = Annotated[str, msgspec.Meta(min_length=1, extra_json_schema={"format": "path"})]
Sha256 = Annotated[str, matching("[0-9a-f]{64}")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Limit = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a JSON object or a YAML mapping, and no others.

    Attributes:
        RULES: what ``__post_init__`` checks of several fields together, as JSON schema.
        ERROR: raised for a document of another form. ADVICE: what to do then, as a sentence.
    """

    RULES: ClassVar[Mapping[str, Any]] = {}
    ERROR: ClassVar[type[LocalH5Error]] = LocalH5Error
    ADVICE: ClassVar[str] = ""

    @classmethod
    def from_json(cls, data: Any, where: object = None) -> Self:
        """Parsed JSON as this form.

        Args:
            data: parsed.
            where: the file, for the message; the name of the form by default.

        Raises:
            LocalH5Error: the class's own ``ERROR``, for a missing or unknown key, or a value that is not allowed.
        """
        return convert(data, cls, where or cls.called(), cls.ERROR, cls.ADVICE)

    def to_json(self) -> dict[str, Any]:
        """The JSON that :meth:`from_json` reads.

        Raises:
            LocalH5Error: the class's own ``ERROR``, for a field with a value that its type does not allow.
        """
        return plain(self, self.called(), self.ERROR)

    @classmethod
    def called(cls) -> str:
        """The class's name in words."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower()


def read(path: Path, kind: type[T], error: type[LocalH5Error], what: str, advice: str) -> T:
    """Read a JSON file.

    Args:
        path: of the file.
        kind: what it holds.
        error: to raise.
        what: the file is, for the message: "a result sidecar".
        advice: what to do about a file of another form, as a sentence.

    Raises:
        error: missing, not JSON, or of another form.
    """
    try:
        data = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise error(f"{path}: expected {what}, found {why_unread(path, problem)}. {advice}") from problem
    return convert(data, kind, path, error, advice)


def read_yaml(path: "Path | Traversable", kind: type[T], error: type[LocalH5Error], advice: str) -> T:
    """Read a YAML file. Dates stay text, keys become text, a repeated key is refused.

    Raises:
        error: missing, not YAML, or of another form.
    """
    import yaml  # not for area jobs, which read no YAML

    from local_h5.files.strict_yaml import Loader

    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
        data = json.loads(json.dumps(data, allow_nan=False))
    except FileNotFoundError as problem:
        raise error(f"{path}: expected a YAML file, found no file. {advice}") from problem
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as problem:
        raise error(f"{path}: expected a YAML file, found {problem or 'too many levels'}. {advice}") from problem
    return convert(data, kind, path, error, advice)


def parse(text: str | bytes) -> Any:
    """JSON as Python values.

    Raises:
        ValueError: no JSON, a key twice in one object, a number out of range, NaN, or too many levels.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
    except RecursionError:
        raise ValueError("too many levels of lists and objects in each other") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice in one object")
    return found


def _constant(text: str) -> float:
    raise ValueError(f"{text}, which is no number of JSON")


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {_short(text)}, which is out of range")
    return number


def text(value: Any, where: object, error: type[LocalH5Error], *, indent: int | None = 1, sort: bool = False) -> str:
    """The JSON text of a structure, which :func:`read` would accept.

    Args:
        value: a structure, or several in a list or dict.
        where: the file, for the message.
        error: to raise.
        indent: of each level; None for one line.
        sort: the keys by name, rather than in the structure's order.

    Raises:
        error: a field holds what its type does not allow.
    """
    data, written = _written(value, where, error, indent=indent, sort=sort)
    convert(data, type(value), where, error)  # code may have put anything into it
    return written


def is_written(path: Path, value: Any, error: type[LocalH5Error], *, sort: bool = False) -> bool:
    """Whether a file has just the text that :func:`text` gives; a fifth of the work of reading it."""
    try:
        found = path.read_bytes()
    except OSError:
        return False
    return found == _written(value, path, error, indent=1, sort=sort)[1].encode()


def _written(
    value: Any, where: object, error: type[LocalH5Error], *, indent: int | None, sort: bool
) -> tuple[Any, str]:
    try:
        data = msgspec.to_builtins(value, enc_hook=_of_numpy)
        written = json.dumps(data, sort_keys=sort, allow_nan=False)
    except (ValueError, TypeError) as problem:
        raise error(f"{where}: expected what JSON can hold, found {problem}") from problem
    if indent is not None:  # json indents in Python, which takes four times as long
        written = msgspec.json.format(written, indent=indent)
    return data, f"{written}\n"


def plain(value: Any, where: object, error: type[LocalH5Error]) -> Any:
    """A structure as JSON values: dicts, lists, texts, numbers.

    Raises:
        error: as for :func:`text`.
    """
    return json.loads(text(value, where, error, indent=None))


def _of_numpy(value: Any) -> Any:
    if isinstance(value, float):  # numpy.float64 is one
        return float(value)
    raise TypeError(f"{value!r} ({type(value).__name__})")


def convert(data: Any, kind: type[T], where: object, error: type[LocalH5Error], advice: str = "") -> T:
    """Parsed JSON or YAML as a structure.

    Args:
        data: parsed.
        kind: the structure, or a type made of such.
        where: the file, for the message.
        error: to raise.
        advice: what to do, as a sentence.

    Raises:
        error: with the place of the first violation, what was expected there and what was found.
    """
    try:
        return msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError) as problem:
        raise error(_sentence(data, kind, where, advice)) from problem


# --- messages about what msgspec refuses ----------------------------------------------------------------------------

_JSON = (dict, list, tuple, str, int, float, type(None))
_TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}
_BOUNDS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
_COUNTED = {"str": "characters", "array": "entries", "object": "keys"}


def _sentence(data: Any, kind: Any, where: object, advice: str) -> str:
    path, part, value, problem = _innermost(data, kind, ())
    cause = problem.__cause__
    if isinstance(cause, LocalH5Error):  # a whole sentence of the structure's own
        return ": ".join([str(where), *([".".join(path)] if path else []), str(cause)])
    place, said = _violated(part, value, str(cause or problem))
    names = ".".join([*path, *([place] if place else [])])
    rest = " ".join(text for text in (_near(part, place) if place else "", advice) if text)
    return f"{where}: {f'{names}: ' if names else ''}{said}{f'. {rest}' if rest else ''}"


def _innermost(data: Any, kind: Any, path: tuple[str, ...]) -> tuple[tuple[str, ...], Any, Any, Exception]:
    """The smallest part of a document that is refused: its place, type, value and msgspec's message."""
    for name, value, part in parts(data, kind):
        try:
            msgspec.convert(value, part)
        except (msgspec.ValidationError, RecursionError):
            return _innermost(value, part, (*path, name))
    try:
        msgspec.convert(data, kind)
    except (msgspec.ValidationError, RecursionError) as problem:
        return path, kind, data, problem
    raise AssertionError(f"{'.'.join(path)}: the whole was refused, and no part of it")


def parts(data: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and type of each part of a value; of a mapping the keys before the values."""
    for choice in choices(kind):
        origin, inner = get_origin(choice), get_args(choice)
        if isinstance(data, Mapping) and _is_form(choice):
            fields = {field.encode_name: field.type for field in msgspec.structs.fields(choice)}
            yield from ((str(key), key, str) for key in data if not isinstance(key, str))
            yield from ((name, value, fields[name]) for name, value in data.items() if name in fields)
        elif isinstance(data, Mapping) and isinstance(origin, type) and issubclass(origin, Mapping):
            yield from ((str(key), key, inner[0]) for key in data)
            yield from ((str(key), value, inner[1]) for key, value in data.items())
        elif isinstance(data, list | tuple) and origin in (list, tuple):
            yield from ((str(number), value, inner[0]) for number, value in enumerate(data))


def choices(kind: Any) -> Iterator[Any]:
    """The members of a union, without annotations; else the type alone."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from choices(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for choice in get_args(kind):
            yield from choices(choice)
    else:
        yield kind


def _is_form(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _violated(kind: Any, value: Any, problem: str) -> tuple[str, str]:
    """A place inside the part, if any, and what was expected and found, or the structure's own message."""
    if unknown := re.match(r"Object contains unknown field `(.*)`", problem):
        return unknown[1], f"expected one of {', '.join(sorted(_known(kind))) or 'none'}, found an unknown key"
    if missing := re.match(r"Object missing required field `(.*)`", problem):
        return missing[1], "expected a value, found nothing"
    if pattern := re.match(r"Expected `str` matching regex '(.*)'", problem):
        shown = pattern[1].removesuffix(_NO_BREAK.replace("\\", "\\\\"))
        return "", f'found {json.dumps(value, ensure_ascii=False)} does not match "{shown}"'
    if problem.startswith("Invalid enum value"):
        admitted = [option for choice in choices(kind) for option in get_args(choice)]
        return "", f"expected one of {', '.join(map(_option, admitted))}, found {_short(value)}"
    if bound := re.match(r"Expected `(\w+)` (of length )?([<>]=?) (\S+)", problem):
        counted = f" {_COUNTED[bound[1]]}" if bound[2] else ""
        return "", f"expected {_BOUNDS[bound[3]]} {bound[4].removesuffix('.0')}{counted}, found {_short(value)}"
    if types := re.match(r"Expected `(.*)`, got", problem):
        texts = [option for choice in choices(kind) for option in get_args(choice) if isinstance(option, str)]
        known = [f"one of {', '.join(map(json.dumps, texts))}"] if texts else []
        names = [name for name in types[1].split(" | ") if name != "str" or not known]
        expected = " or ".join([*known, *(_TYPES.get(name, name) for name in names)])
        # YAML reads 00 as a number and `no` as false.
        unquoted = "str" in types[1] and isinstance(value, bool | int | float)
        quotes = ". Put texts in quotes" if unquoted or not isinstance(value, _JSON) else ""
        return "", f"expected {expected}, found {_short(value)} ({type(value).__name__}){quotes}"
    return "", problem if "expected" in problem else f"found {_short(value)}: {problem}"


def _known(kind: Any) -> list[str]:
    return [field.encode_name for choice in choices(kind) for field in msgspec.structs.fields(choice)]


def _near(kind: Any, name: str) -> str:
    """The known key that is most like an unknown one."""
    known = [name for choice in choices(kind) if _is_form(choice) for name in _known(choice)]
    return did_you_mean(name, known, most=1) if name not in known else ""


def _option(value: Any) -> str:
    return "null" if value is None else str(value)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
