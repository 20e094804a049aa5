"""The published JSON schemas (Draft 2020-12), which ``schemas/generate.py`` makes from the structures.

Others read our files with them. ``local-h5 verify``, publishing and the tests check documents against them, as an
independent check.
"""

import importlib.resources
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from local_h5.errors import LocalH5Error

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema ``schemas/<name>.schema.json``."""
    resource = importlib.resources.files("local_h5") / "schemas" / f"{name}.schema.json"
    schema: dict[str, Any] = json.loads(resource.read_text(encoding="utf-8"))
    return schema


@cache
def _validator(name: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator  # on use: it takes a tenth of a second

    return Draft202012Validator(load_schema(name))


def check(name: str, data: Any, where: object, error: type[LocalH5Error]) -> None:
    """Check a document against its published schema.

    Args:
        name: of the schema, for example ``area_result``.
        data: parsed JSON.
        where: the file, for the message.
        error: to raise.

    Raises:
        error: the first violation by its place, in the library's words.
    """
    violations = sorted(_validator(name).iter_errors(data), key=lambda item: [str(part) for part in item.absolute_path])
    if violations:
        first = violations[0]
        place = ".".join(map(str, first.absolute_path))
        raise error(
            f"{where}: {f'{place}: ' if place else ''}expected what schemas/{name}.schema.json says, found "
            f"{first.message[:200]}"
        )
