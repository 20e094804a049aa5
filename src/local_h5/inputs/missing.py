"""Rules for values that a source says are missing: ``inputs.missing`` of the configuration.

Without numpy and h5py, because every process of a run reads the configuration.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from local_h5.errors import ConfigError

Value = bool | int | float | str
"""What a rule may give for a code."""

_FLOAT_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class MissingRules:
    """What to take for a code that says "missing": ``inputs.missing`` of the configuration.

    Attributes:
        rules: variable → code → value. Codes are text: a number as it is written, ``NaN``, a text, or the name of an
            enumeration's member.
        where: names the rules in errors.
    """

    rules: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    where: str = "inputs.missing"

    @classmethod
    def from_config(cls, rules: Mapping[Any, Mapping[Any, Value]] | None, where: str = "inputs.missing") -> Self:
        """Rules whose codes may also be numbers, as YAML reads ``-1`` and ``.nan``.

        Raises:
            ConfigError: not a mapping of mappings to single values.
        """
        checked: dict[str, dict[str, Value]] = {}
        for variable, codes in {} if rules is None else _mapping(rules, where).items():
            inner = _mapping(codes, f"{where}.{variable}")
            for code, value in inner.items():
                if not isinstance(value, bool | int | float | str):
                    raise ConfigError(
                        f"{where}: {variable}.{code}: expected yes or no, a number, or a text, found a "
                        f'{type(value).__name__}. For example: inputs: {{missing: {{is_female: {{"-1": '
                        "false}}}"
                    )
            checked[str(variable)] = {code_text(code): value for code, value in inner.items()}
        return cls(checked, where)

    def as_json(self) -> str:
        """The rules in one line, equal for equal rules."""
        return json.dumps(self.rules, sort_keys=True)


def _mapping(value: object, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{where}: expected variable: {{code: value}}, found a {type(value).__name__}. For example: inputs: "
            '{missing: {is_female: {"-1": false}}}'
        )
    return value


def code_text(code: object) -> str:
    """A code as ``inputs.missing`` writes it: ``-1``, ``NaN``, ``0.5``, ``false``, or the text itself."""
    if isinstance(code, bool):
        return "true" if code else "false"
    if isinstance(code, float):
        if not math.isfinite(code):
            return "NaN" if math.isnan(code) else f"{'-' if code < 0 else ''}Infinity"
        return str(int(code)) if code.is_integer() and abs(code) < _FLOAT_EXACT else repr(code)
    return str(code)
