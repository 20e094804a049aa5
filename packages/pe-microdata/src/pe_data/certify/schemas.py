"""JSON schemas (Draft 2020-12) of what this package writes and reads."""

import importlib.resources
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from pe_data.errors import InvalidDocumentError

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema `schemas/<name>.schema.json`."""
    resource = importlib.resources.files("pe_data") / "schemas" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return schema


@cache
def _validator(name: str) -> "Draft202012Validator":
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(load_schema(name))


def check_schema(name: str, document: object, *, what: str) -> None:
    """Check a parsed document against a schema.

    Raises:
        InvalidDocumentError: naming the first place that is wrong.
    """
    try:
        violations = sorted(_validator(name).iter_errors(document), key=lambda v: list(map(str, v.instance_path)))
    except ValueError as error:  # what the validator cannot hold, such as a lone surrogate
        raise InvalidDocumentError(f"{what}: expected a document of schema {name}: {error}") from error
    if violations:
        first = violations[0]
        place = ".".join(str(part) for part in first.instance_path) or "document"
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise InvalidDocumentError(f"{what}: field {place}: does not fit schema {name}: {first.message[:300]}{more}")
