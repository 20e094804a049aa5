"""Typed access to the fields of a JSON document, with errors that say where.

Every document of the store (manifest, collection, stamp, configuration) is read through
`Fields`: the caller asks for a field by name and type and gets either a value of that type or
one error that names the document, the path of the field, what was expected and what was found.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pe_data.errors import InvalidDocumentError
from pe_data.names.digests import Sha256, first_twice

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def describe(value: object) -> str:
    """The kind and a short form of `value`, for the "found …" half of a message."""
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
    if isinstance(value, Mapping):
        return f"an object with {len(value)} keys"
    return type(value).__name__


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object of a document, read field by field."""

    where: str
    """The document, as the user knows it: a file, a key or an address."""
    value: Mapping[str, Any]
    path: str = ""

    @classmethod
    def of(cls, value: object, where: str, path: str = "") -> "Fields":
        """Wrap `value`; raise InvalidDocumentError if it is not a JSON object."""
        if not isinstance(value, Mapping):
            found = describe(value)
            raise InvalidDocumentError(f"{where}: {path or 'document'}: expected an object, found {found}")
        return cls(where, value, path)

    def fail(self, name: str, expected: str, found: object) -> InvalidDocumentError:
        """The error for field `name`; the caller raises it."""
        field = f"{self.path}.{name}" if self.path else name
        text = found if isinstance(found, Described) else describe(found)
        return InvalidDocumentError(f"{self.where}: field {field}: expected {expected}, found {text}")

    def has(self, name: str) -> bool:
        """True if the field is there and not null."""
        return self.value.get(name) is not None

    def text(self, name: str, *, pattern: re.Pattern[str] | None = None, what: str = "text") -> str:
        value = self.value.get(name)
        if not isinstance(value, str) or not value:
            raise self.fail(name, what, value)
        if pattern is not None and not pattern.fullmatch(value):
            raise self.fail(name, what, value)
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def sha256(self, name: str) -> Sha256:
        return Sha256(self.text(name, pattern=_SHA256, what="64 lower-case hexadecimal digits"))

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.value.get(name)
        if value not in choices:
            raise self.fail(name, "one of " + ", ".join(choices), value)
        return str(value)

    def integer(self, name: str, *, minimum: int = 0, maximum: int | None = None) -> int:
        value = self.value.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise self.fail(name, f"an integer of at least {minimum}", value)
        if maximum is not None and value > maximum:
            raise self.fail(name, f"an integer of at most {maximum}", value)
        return value

    def sub(self, name: str) -> "Fields":
        """The object under `name`."""
        value = self.value.get(name)
        if not isinstance(value, Mapping):
            raise self.fail(name, "an object", value)
        return Fields(self.where, value, self._below(name))

    def items(self) -> Iterator[tuple[str, "Fields"]]:
        """Every key of this object with the object under it."""
        for name in self.value:
            yield name, self.sub(name)

    def rows(self, name: str) -> Iterator["Fields"]:
        """The objects of the list under `name`; a missing list is empty."""
        for i, row in enumerate(self.list_of(name)):
            yield Fields.of(row, self.where, f"{self._below(name)}[{i}]")

    def list_of(self, name: str) -> list[Any]:
        value = self.value.get(name, [])
        if not isinstance(value, list):
            raise self.fail(name, "a list", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of distinct, non-empty texts; a missing list is empty."""
        values = self.list_of(name)
        for value in values:
            if not isinstance(value, str) or not value:
                raise self.fail(name, "a list of texts", value)
        twice = first_twice(values)
        if twice is not None:
            raise self.fail(name, "distinct entries", Described(f"{describe(twice)} twice"))
        return tuple(values)

    def integers(self, name: str) -> tuple[int, ...]:
        values = self.list_of(name)
        for value in values:
            if not isinstance(value, int) or isinstance(value, bool):
                raise self.fail(name, "a list of integers", value)
        return tuple(values)

    def text_map(self, name: str) -> dict[str, str]:
        """An object of texts; a missing one is empty."""
        if not self.has(name):
            return {}
        inner = self.sub(name)
        return {key: inner.text(key) for key in inner.value}

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


class Described(str):
    """A ready-made "found …" text, which `Fields.fail` does not quote again."""

    __slots__ = ()
