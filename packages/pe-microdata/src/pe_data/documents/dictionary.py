"""The dictionary: what the variables of a file, or of all files of a run, mean.

A producer leaves one `dictionary.json` per run. Published with its files, the variables stand in the collection, or in
the manifest of a single file, and so under their digests. What nobody said of a variable is left out; nothing is
invented.

Version policy. Optional fields leave `schema_version` at 1: a reader that does not know them ignores them. Only a
change of meaning raises it, and such a dictionary is refused by name.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from pe_data.documents.document import Document, Part, Refused, Text, check_lines, describe, is_line
from pe_data.names.digests import first_twice

LABEL_LIMIT = 500
"""Longest name, label, unit, value or source, in characters."""
DESCRIPTION_LIMIT = 10_000
"""Longest description, in characters."""
DICTIONARY_LIMIT = 16 * 1024 * 1024
"""Largest dictionary document that is read, in bytes."""

PeriodKind = Literal["year", "month", "eternity"]
PERIODS: tuple[PeriodKind, ...] = get_args(PeriodKind)
Values = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, description="a list of texts")]


class Variable(Part, frozen=True):
    """What one variable means.

    Attributes:
        name: The name of its column.
        entity: Whose rows it has.
        period: For which span it has a value.
        label: For people, in a few words.
        unit: Of its values, such as currency-USD, year or hour.
        description: More about it, one line.
        values: All texts that it may have, for one that has a fixed list.
        source: Where its values come from, such as the source dataset or the model.
    """

    name: Text
    entity: Text
    period: PeriodKind
    label: Text | None = None
    unit: Text | None = None
    description: Text | None = None
    values: Values | None = None
    source: Text | None = None

    def __post_init__(self) -> None:
        # A name is a file's own, and may hold anything that a column's name may.
        check_lines(self, LABEL_LIMIT, "entity", "label", "unit", "source")
        check_lines(self, DESCRIPTION_LIMIT, "description")
        for number, value in enumerate(self.values or ()):
            if not is_line(value, LABEL_LIMIT):
                expected = f"one printable line of at most {LABEL_LIMIT} characters"
                raise Refused(f"values.{number}", expected, describe(value))
        twice = first_twice(self.values or ())
        if twice is not None:
            raise Refused("values", "each value once", f"{describe(twice)} twice")

    @property
    def is_told(self) -> bool:
        """Whether anything is said of it besides its name, entity and period."""
        return any((self.label, self.unit, self.description, self.values, self.source))

    def holds(self, words: str) -> bool:
        """Whether each of the words is in its name, label, description, unit or entity, in upper or lower case."""
        said = (self.name, self.name.replace("_", " "), self.label, self.description, self.unit, self.entity)
        text = "\n".join(part for part in said if part).casefold()
        return all(word in text for word in words.casefold().split())


def check_variables(variables: tuple[Variable, ...], field: str = "variables") -> None:
    """Raise Refused for variables that are not each there once. Tables of two entities may have columns of one name."""
    twice = first_twice((variable.name, variable.entity) for variable in variables)
    if twice is not None:
        raise Refused(field, "each variable of an entity once", f"{describe(twice[0])} of {describe(twice[1])} twice")


class Dictionary(Document, frozen=True):
    """What the variables of a file or a run mean.

    Attributes:
        variables: Each of an entity once.
    """

    HEAD: ClassVar[Mapping[str, int | str]] = {"schema_version": 1, "kind": "dictionary"}
    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        check_variables(self.variables)

    def variable(self, name: str) -> Variable | None:
        """What is said of a variable; None if nothing is."""
        return next((one for one in self.variables if one.name == name), None)


def agreed(said: Iterable[tuple[Variable, ...]]) -> tuple[Variable, ...]:
    """What several files say of their variables, where none says something else, by name."""
    found: dict[tuple[str, str], set[Variable]] = {}
    for variables in said:
        for one in variables:
            found.setdefault((one.name, one.entity), set()).add(one)
    return tuple(next(iter(same)) for _, same in sorted(found.items()) if len(same) == 1)
