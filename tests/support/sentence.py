"""The parts of an error's sentence: ``<where>: <field>: expected <this>, found <that>. <What to do.>``."""

import re
from typing import NamedTuple

_SENTENCE = re.compile(
    r"(?P<where>.*?): (?:(?P<field>.*?): )?expected (?P<expected>.*), found (?P<found>.*?)(?:\. (?P<remedy>[A-Z].*))?"
)


class Sentence(NamedTuple):
    """No field where the sentence has none; no remedy is an empty text."""

    where: str
    field: str | None
    expected: str
    found: str
    remedy: str


def parts_of(error: BaseException) -> Sentence:
    """Take an error's text apart; a text of another form fails the test."""
    matched = _SENTENCE.fullmatch(str(error))
    assert matched, f"no sentence of an error: {error}"
    where, field, expected, found, remedy = matched.groups()
    return Sentence(where, field, expected, found, remedy or "")
