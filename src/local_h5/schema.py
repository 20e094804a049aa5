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
        place, expected, found = _facts(name, first)
        others = f" (and {len(violations) - 1} more violations)" if len(violations) > 1 else ""
        raise error(where, field=place, expected=expected, found=f"{found}{others}")


def _facts(name: str, violation: "ValidationError") -> tuple[str, str | None, str]:
    """Where, what was expected, what was found; the library's own words only where ours say no more."""
    from jsonschema_rs import ValidationErrorKind as Kind

    path = [str(part) for part in violation.instance_path]
    place = ".".join(path) or "(top level)"
    instance = _short(violation.instance)
    match violation.kind:
        case Kind.AdditionalProperties(unexpected=unexpected):
            rules: Any = load_schema(name)
            for part in violation.schema_path[:-1]:
                rules = rules[part]
            known = ", ".join(sorted(rules.get("properties", {}))) or "none"
            return ".".join([*path, unexpected[0]]), f"one of {known}", "an unknown key"
        case Kind.Required(property=missing):
            return ".".join([*path, str(missing).strip("'\"")]), "a value", "nothing"
        case Kind.Enum(options=options):
            return place, f"one of {', '.join(map(str, options))}", instance
        case Kind.Type(types=types):
            return place, " or ".join(types), f"{instance} ({type(violation.instance).__name__})"
        case Kind.Minimum(limit=limit):
            return place, f"at least {limit}", instance
        case Kind.Maximum(limit=limit):
            return place, f"at most {limit}", instance
        case Kind.ExclusiveMinimum(limit=limit):
            return place, f"more than {limit}", instance
        case Kind.ExclusiveMaximum(limit=limit):
            return place, f"less than {limit}", instance
    return place, None, violation.message


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
