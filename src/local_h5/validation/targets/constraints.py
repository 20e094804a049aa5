"""Who belongs to a stratum: its constraints evaluated per person, and mapped to the entity that a target counts.

A constraint on a tax unit's, an SPM unit's or a household's variable holds for each of its members. A unit belongs to
the stratum when one of its members meets all constraints.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from local_h5.errors import InputError
from local_h5.inputs.membership import PERSON
from local_h5.validation.targets.database import Constraint

_COMPARE: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
_TRUTH = {"true": 1.0, "false": 0.0}
_COUNT = "_count"


@dataclass(slots=True)
class People:
    """Persons of a file, the units they belong to, and the values that constraints ask for.

    Attributes:
        unit_of: entity → int (n_persons,), the row of each person's unit; without persons themselves.
        n_rows: entity → rows.
        values: variable → (entity, values by row of the entity).
    """

    unit_of: Mapping[str, np.ndarray]
    n_rows: Mapping[str, int]
    values: Mapping[str, tuple[str, np.ndarray]]
    _masks: dict[Constraint, np.ndarray] = field(default_factory=dict)

    def meeting(self, constraints: tuple[Constraint, ...]) -> np.ndarray:
        """Persons who meet all constraints; bool (n_persons,).

        Raises:
            KeyError: a constraint's variable has no values.
            InputError: a value that its variable's type cannot be compared with.
        """
        mask = np.ones(self.n_rows[PERSON], dtype=bool)
        for constraint in constraints:
            if constraint not in self._masks:
                entity, values = self.values[constraint.variable]
                self._masks[constraint] = self.of_persons(entity, holds(constraint, values))
            mask &= self._masks[constraint]
        return mask

    def of_persons(self, entity: str, values: np.ndarray) -> np.ndarray:
        """Values of a unit, for each of its members."""
        return values if entity == PERSON else values[self.unit_of[entity]]

    def units(self, entity: str, persons: np.ndarray) -> np.ndarray:
        """Units with a member among the given persons; bool (n_rows[entity],)."""
        if entity == PERSON:
            return persons
        mask = np.zeros(self.n_rows[entity], dtype=bool)
        mask[self.unit_of[entity][persons]] = True
        return mask


def holds(constraint: Constraint, values: np.ndarray) -> np.ndarray:
    """Where a constraint holds; numbers and truth values compare as numbers, words only by equality.

    Raises:
        InputError: ``<`` on words, or a word where the variable has numbers.
    """
    operation, text = constraint.operation, constraint.value
    if values.dtype.kind in "SU":
        words = values if values.dtype.kind == "U" else np.char.decode(values, "utf-8")
        match operation:
            case "==":
                return words == text
            case "!=":
                return words != text
            case "in":
                return np.isin(words, text.split("|"))
            case _:
                raise _incomparable(constraint, "== , != or in, because the variable's values are words")
    try:
        numbers = [_number(item) for item in (text.split("|") if operation == "in" else (text,))]
    except ValueError as error:
        raise _incomparable(constraint, "a number, because the variable's values are numbers") from error
    plain = values.astype(np.float64)
    if operation == "in":
        return np.isin(plain, numbers)
    return _COMPARE[operation](plain, numbers[0])


def _number(text: str) -> float:
    word = text.strip().lower()
    return _TRUTH[word] if word in _TRUTH else float(word)


def counted_entity(variable: str, entities: Mapping[str, int]) -> str | None:
    """The entity that ``person_count``, ``household_count`` and their like count; None for any other variable."""
    entity = variable.removesuffix(_COUNT)
    return entity if variable.endswith(_COUNT) and entity in entities else None


def _incomparable(constraint: Constraint, expected: str) -> InputError:
    return InputError(
        f"stratum constraint {constraint}: expected {expected}, found {constraint.operation} {constraint.value}. "
        "Correct the stratum in the target database."
    )
