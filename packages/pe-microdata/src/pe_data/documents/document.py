"""Documents as typed structures: a field, its type and its bounds are written once.

Reading is strict JSON first (`pe_data.names.digests.strict_json`), then the structure; writing is canonical JSON, and
nothing is written that reading would refuse. A key that a structure does not know is ignored, so that a later version
may add one, unless the class forbids it. The JSON schemas in `schemas/` are made from the same classes.

An error names the document, the field, what was expected and what was found. Texts out of a document are quoted in it,
so that they cannot do anything to a terminal.
"""

import collections.abc
import re
import threading
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin

import msgspec

from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import Sha256, canonical_json, strict_json
from pe_data.names.keys import COUNTRY, DATASET, SIZE_LIMIT
from pe_data.names.times import TIME, parse_time

T = TypeVar("T")
MOST = (1 << 63) - 1
"""Largest integer in a document."""
_READY: set[type] = set()
_MAKING = threading.Lock()


class Refused(InvalidDocumentError, ValueError):
    """Raised by `__post_init__` of a structure for a value that its type allows and its rules do not."""

    def __init__(self, field: str, expected: str, found: object) -> None:
        super().__init__(f"field {field}: expected {expected}, found {found}")
        self.field, self.expected, self.found = field, expected, found


def matching(pattern: str, words: str) -> msgspec.Meta:
    """A text that the pattern matches as a whole; Python's `$` alone would let a line break follow."""
    return msgspec.Meta(pattern=rf"^(?:{pattern})$(?!\n)", description=words)


if TYPE_CHECKING:
    Digest = Sha256
else:
    Digest = Annotated[str, matching("[0-9a-f]{64}", "64 lower-case hexadecimal digits")]
Text = Annotated[str, msgspec.Meta(min_length=1, description="text")]
Country = Annotated[str, matching(COUNTRY, "a lower-case country code")]
Dataset = Annotated[str, matching(DATASET, "a dataset name ([a-z0-9_]+)")]
Time = Annotated[str, matching(TIME, "a UTC time such as 2026-01-31T12:00:00Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST, description="an integer of at least 0")]
Version = Annotated[int, msgspec.Meta(ge=1, le=MOST, description="an integer of at least 1")]
Size = Annotated[int, msgspec.Meta(ge=0, le=SIZE_LIMIT, description=f"a number of bytes, at most {SIZE_LIMIT}")]


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object in a document. A field with a default may be left out, and is not written while it has it."""


class Document(Part, frozen=True, omit_defaults=True):
    """A whole document.

    HEAD is what every document of this kind says of itself; a newer `schema_version` is refused as such.
    ERROR is raised for what is no such document.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1}
    ERROR: ClassVar[type[InvalidDocumentError]] = InvalidDocumentError

    @classmethod
    def from_bytes(cls, raw: bytes, what: str = "document") -> Self:
        """Read a document; `what` names it in errors. Raises ERROR."""
        return cls.from_json(strict_json(raw, what=what), what)

    @classmethod
    def from_json(cls, document: Mapping[str, object], what: str) -> Self:
        """The same for what `strict_json` has read."""
        for name, ours in cls.HEAD.items():
            found = document.get(name)
            if found != ours or isinstance(found, bool):
                newer = isinstance(ours, int) and isinstance(found, int) and found > ours
                advice = " (a newer one needs a newer pe-data: upgrade it)" if newer else ""
                raise cls.ERROR(f"{what}: field {name}: expected {ours}{advice}, found {describe(found)}")
        return convert({key: value for key, value in document.items() if key not in cls.HEAD}, cls, what, cls.ERROR)

    def to_bytes(self) -> bytes:
        """Canonical JSON. Raises ERROR for what reading would refuse."""
        name = type(self).__name__.lower()
        try:
            raw = canonical_json({**self.HEAD, **msgspec.to_builtins(self, enc_hook=dict)})
        except (ValueError, TypeError) as problem:
            raise self.ERROR(f"{name}: expected what JSON can hold, found {problem}") from problem
        self.from_bytes(raw, name)  # code may have put anything into it
        return raw

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON values; raises as `to_bytes`."""
        return strict_json(self.to_bytes(), what=type(self).__name__.lower())


def convert(data: object, kind: type[T], what: str, error: type[InvalidDocumentError] = InvalidDocumentError) -> T:
    """Plain JSON values as a structure. Raises `error`, for the first field that is wrong."""
    if kind not in _READY:
        _make_ready(kind)
    try:
        return msgspec.convert(data, kind)
    except _PROBLEMS as problem:
        path, expected, found = _refused(data, kind)
        field = ".".join(map(shown, path))
        raise error(f"{what}: {f'field {field}: ' if field else ''}expected {expected}, found {found}") from problem


def _make_ready(kind: type) -> None:
    """Let msgspec work out what a structure is: at its first use, when a second thread that uses it would crash."""
    with _MAKING:
        if kind not in _READY:
            msgspec.json.Decoder(kind)
            _READY.add(kind)


def check_times(part: Part, *names: str) -> None:
    """Raise Refused for a field that looks like a time and is none, such as the 31st of June."""
    for name in names:
        text = getattr(part, name)
        try:
            if text is not None:
                parse_time(text)
        except ValueError:
            raise Refused(name, "a UTC time such as 2026-01-31T12:00:00Z", describe(text)) from None


def is_line(text: str, limit: int) -> bool:
    """Whether a text is one line of 1 to `limit` printable characters, and not blank."""
    return bool(text.strip()) and len(text) <= limit and text.isprintable()


def check_lines(part: Part, limit: int, *names: str) -> None:
    """Raise Refused for a field that has something else than lines for people."""
    for name in names:
        value = getattr(part, name)
        for text in value if isinstance(value, tuple) else (value,):
            if text is not None and not is_line(text, limit):
                raise Refused(name, f"one printable line of at most {limit} characters", describe(text))


def describe(value: object) -> str:
    """The kind and a short form of a value, for the "found …" half of a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {value}".lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:77] + "…")
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return f"an object with {len(value)} keys" if isinstance(value, Mapping) else type(value).__name__


def shown(name: str) -> str:
    """A text out of a document for a message: as it is, unless it is long or would do something to a terminal."""
    return name if name and name.isprintable() and len(name) <= 80 else describe(name)


# --- which field, and words for what was expected there: msgspec names no keys and shows no values -----------------

_PROBLEMS = (msgspec.ValidationError, RecursionError)
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`")
_WORDS = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    bytes: "base64",
    NoneType: "nothing",
}


def _refused(data: object, kind: Any, path: tuple[str, ...] = ()) -> tuple[tuple[str, ...], str, object]:
    """The smallest part that is refused: its path, what was expected and what was found."""
    for name, value, part in _parts(data, kind):
        try:
            msgspec.convert(value, part)
        except _PROBLEMS:
            return _refused(value, part, (*path, name))
    try:
        msgspec.convert(data, kind)
    except _PROBLEMS as problem:
        if isinstance(problem.__cause__, Refused):
            return (*path, problem.__cause__.field), problem.__cause__.expected, problem.__cause__.found
        if field := _FIELD.match(str(problem)):
            known = {name: part for choice in _choices(kind) for name, part in _fields(choice).items()}
            if field[1] == "missing required":
                return (*path, field[2]), _words(known[field[2]]), "nothing"
            return (*path, field[2]), f"one of {', '.join(sorted(known))}", "an unknown key"
    return path, _words(kind), describe(data)


def _parts(data: object, kind: Any) -> Iterator[tuple[str, object, Any]]:
    """Name, value and type of what a value consists of; the keys of an object before their values."""
    for choice in _choices(kind):
        inner = get_args(choice)
        if isinstance(data, Mapping) and (fields := _fields(choice)):
            yield from ((name, value, fields[name]) for name, value in data.items() if name in fields)
        elif isinstance(data, Mapping) and get_origin(choice) is collections.abc.Mapping:
            yield from ((name, name, inner[0]) for name in data)
            yield from ((name, value, inner[1]) for name, value in data.items())
        elif isinstance(data, list | tuple) and get_origin(choice) is tuple:
            yield from ((str(number), value, inner[0]) for number, value in enumerate(data))


def _fields(kind: Any) -> dict[str, Any]:
    structure = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)} if structure else {}


def _choices(kind: Any) -> Iterator[Any]:
    """The types that a type stands for, without what is said about them."""
    if get_origin(kind) is Annotated:
        yield from _choices(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for choice in get_args(kind):
            yield from _choices(choice)
    else:
        yield kind


def _words(kind: Any) -> str:
    """What a type admits: what was written beside it, else its name."""
    if get_origin(kind) is Annotated:
        written = [one.description for one in get_args(kind)[1:] if isinstance(one, msgspec.Meta) and one.description]
        return written[0] if written else _words(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_words(choice) for choice in get_args(kind) if choice is not NoneType)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}" if len(get_args(kind)) > 1 else str(get_args(kind)[0])
    return _WORDS.get(kind) or ("a list" if get_origin(kind) is tuple else "an object")
