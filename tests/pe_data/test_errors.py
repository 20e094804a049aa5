"""The error tree: a class exists where somebody does something about it, and old names still work."""

import ast
import re
from pathlib import Path

import pytest

from pe_data import errors

FOR_OTHERS = {
    "CertificationError": "a release script tells it from a store that is out of reach",
    "ConflictError": "a publisher does it again",
    "ForbiddenError": "a user asks for a token",
    "GatewayUnavailableError": "a program tries later",
    "InputError": "a user hands in something else",
    "RevokedError": "a user must not go on with the file",
    "RollbackError": "a user tells the operator",
    "CacheWarning": "a program filters it",
    "DemonstrationWarning": "a program filters it, or refuses such data",
    "SmallSampleWarning": "a program filters it, or leaves the group out",
    "AuditChainError": "an auditor tells a forged log from one that cannot be read",
}
"""Classes that this package need not catch: what somebody else does about them."""


def classes() -> dict[str, type]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and value.__module__ == errors.__name__
    }


def caught() -> set[str]:
    """Names in `except`, `suppress` and `isinstance` of every package beside the error module."""
    found: set[str] = set()
    for path in Path(__file__).parents[2].glob("packages/*/src/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            parts: list[ast.expr] = []
            if isinstance(node, ast.ExceptHandler) and node.type:
                parts = [node.type]
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("suppress", "isinstance"):
                parts = node.args
            found |= {inner.id for part in parts for inner in ast.walk(part) if isinstance(inner, ast.Name)}
    return found


def test_every_class_is_one_that_somebody_acts_on() -> None:
    assert {value.__name__ for value in classes().values()} <= caught() | FOR_OTHERS.keys()


def test_the_list_of_what_others_do_names_classes_that_exist() -> None:
    assert classes().keys() >= FOR_OTHERS.keys()


@pytest.mark.parametrize("page", sorted((Path(__file__).parents[2] / "docs").glob("*.md")), ids=lambda path: path.name)
def test_an_error_that_a_page_names_can_be_imported(page: Path) -> None:
    from local_h5 import errors as other

    for name in re.findall(r"`(?:pe_data\.errors\.)?(\w+Error)`", page.read_text()):
        assert hasattr(errors, name) or hasattr(other, name), name


@pytest.mark.parametrize("name", ["UnsignedPointerError", "ChecksumError", "UnauthorizedError", "RateLimitedError"])
def test_names_that_the_documentation_gave_still_catch(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.PeDataError)


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    assert str(errors.InputError("a\nb:\t c")) == "a b: c"
