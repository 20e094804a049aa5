"""JSON schemas (Draft 2020-12) of everything that is written as JSON."""

import importlib.resources
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from local_h5.errors import LocalH5Error

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema ``schemas/<name>.schema.json``."""
    resource = importlib.resources.files("local_h5") / "schemas" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return schema


@cache
def _validator(name: str) -> "Draft202012Validator":
    # jsonschema would cost an area job half as much again as all of its own work; this one is compiled.
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(load_schema(name))


def check(name: str, data: Any, where: object, error: type[LocalH5Error]) -> None:
    """Check ``data`` against a schema.

    Args:
        name: of the schema, for example ``area_result``.
        data: parsed JSON or YAML.
        where: the file, for the message.
        error: the kind to raise.

    Raises:
        error: the first violation, with its place, what was expected and what was found.
    """
    try:
        violations = sorted(_validator(name).iter_errors(data), key=lambda v: list(map(str, v.instance_path)))
    except ValueError as problem:  # what JSON cannot hold, for example a date or a key that is a number
        raise error(where, found=str(problem), remedy="Put texts in quotes.") from problem
    if violations:
        first = violations[0]
        place = ".".join(str(part) for part in first.instance_path) or "(top level)"
        others = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise error(where, field=place, found=f"{_message(first)}{others}")


def _message(violation: "ValidationError") -> str:
    from jsonschema_rs import ValidationErrorKind

    if isinstance(violation.kind, ValidationErrorKind.Enum):  # its own message lists two of the choices only
        return f"{violation.instance!r} is not one of {', '.join(map(str, violation.kind.options))}"
    return violation.message
