"""JSON schemas (Draft 2020-12) of everything that is written as JSON."""

import importlib.resources
import json
from collections.abc import Iterator, Mapping
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
        raise error(f"{where}: found {problem}. Put texts in quotes.") from problem
    if violations:
        first = violations[0]
        others = f" (and {len(violations) - 1} more violations)" if len(violations) > 1 else ""
        raise error(f"{where}: {_violated(name, first)}{others}{_near(name, first)}")


def typed(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Values that were read as text, with the types that YAML would have given them in a file.

    Only where the schema has room for that type: ``"10"`` becomes 10 where a number may stand, ``"null"`` None where
    null may, and both stay text elsewhere. What has a type already keeps it.

    Args:
        name: of the schema.
        data: a part of a document of that schema.
    """
    schema = load_schema(name)
    return _typed(data, schema, schema)


def _typed(value: Any, rules: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    rules = _resolved(rules, schema)
    if isinstance(value, Mapping):
        known, other = rules.get("properties", {}), rules.get("additionalProperties", {})
        other = other if isinstance(other, Mapping) else {}
        return {key: _typed(part, known.get(key, other), schema) for key, part in value.items()}
    if isinstance(value, list):
        return [_typed(part, _items(rules, schema), schema) for part in value]
    if not isinstance(value, str):
        return value
    import yaml  # not for area jobs, which read no configuration of this kind

    try:
        meant = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return value
    return meant if _types(rules, schema) & _TYPES.get(type(meant), frozenset()) else value


_TYPES = {
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"number", "integer"}),
    type(None): frozenset({"null"}),
}
"""Type of a value → names in a schema that have room for it, or say better than ``string`` what is wrong with it."""


def _resolved(rules: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in rules:
        part: Any = schema
        for step in rules["$ref"].removeprefix("#/").split("/"):
            part = part[step]
        rules = part
    return rules


def _choices(rules: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    rules = _resolved(rules, schema)
    yield rules
    for choice in (*rules.get("anyOf", ()), *rules.get("oneOf", ())):
        yield from _choices(choice, schema)


def _items(rules: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rules of a list's members."""
    return next((choice["items"] for choice in _choices(rules, schema) if "items" in choice), {})


def _types(rules: Mapping[str, Any], schema: Mapping[str, Any]) -> frozenset[str]:
    """The types that a value may have."""
    found: set[str] = set()
    for choice in _choices(rules, schema):
        given = choice.get("type", ())
        found.update([given] if isinstance(given, str) else given)
        for value in choice.get("enum", ()):
            found.update(_TYPES.get(type(value), {"string"}))
    return frozenset(found)


def _violated(name: str, violation: "ValidationError") -> str:
    """Where, what was expected, what was found; the library's own words only where ours say no more."""
    from jsonschema_rs import ValidationErrorKind as Kind

    path = [str(part) for part in violation.instance_path]
    place = ".".join(path) or "(top level)"
    instance = _short(violation.instance)
    match violation.kind:
        case Kind.AdditionalProperties(unexpected=unexpected):
            known = ", ".join(_known_keys(name, violation)) or "none"
            return f"{'.'.join([*path, unexpected[0]])}: expected one of {known}, found an unknown key"
        case Kind.Required(property=missing):
            key = str(missing).strip("'\"")
            return f"{'.'.join([*path, key])}: expected a value, found nothing"
        case Kind.Enum(options=options):
            expected = f"one of {', '.join(map(str, options))}"
        case Kind.Type(types=types):
            expected, instance = " or ".join(types), f"{instance} ({type(violation.instance).__name__})"
        case Kind.Minimum(limit=limit):
            expected = f"at least {limit}"
        case Kind.Maximum(limit=limit):
            expected = f"at most {limit}"
        case Kind.ExclusiveMinimum(limit=limit):
            expected = f"more than {limit}"
        case Kind.ExclusiveMaximum(limit=limit):
            expected = f"less than {limit}"
        case _:
            return f"{place}: found {violation.message}"
    return f"{place}: expected {expected}, found {instance}"


def _known_keys(name: str, violation: "ValidationError") -> list[str]:
    """The keys that may stand where an unknown one does."""
    rules: Any = load_schema(name)
    for part in violation.schema_path[:-1]:
        rules = rules[part]
    return sorted(rules.get("properties", {}))


def _near(name: str, violation: "ValidationError") -> str:
    """The key that was probably meant."""
    import difflib  # only for an error: area jobs do without

    unexpected = getattr(violation.kind, "unexpected", None)
    near = difflib.get_close_matches(unexpected[0], _known_keys(name, violation), n=1) if unexpected else []
    return f". Did you mean {near[0]}?" if near else ""


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
