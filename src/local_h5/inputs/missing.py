"""Rules for missing values of the source: ``inputs.missing`` of the configuration.

This module imports neither numpy nor h5py, because every process of a run reads the configuration.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from local_h5.errors import ConfigError
from local_h5.files import forms

Value = bool | int | float | str
"""What a rule may give for a code."""

_FLOAT_EXACT = 2**53

_EXAMPLE = 'For example: inputs: {missing: {is_female: {"-1": false}}}'


@dataclass(frozen=True, slots=True)
class MissingRules:
    """The value to use for each code that means "missing".

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
        with_texts = {
            name: {code_text(code): value for code, value in codes.items()} if isinstance(codes, Mapping) else codes
            for name, codes in (rules.items() if isinstance(rules, Mapping) else ())
        }
        given = with_texts if isinstance(rules, Mapping | None) else rules
        return cls(forms.convert(given, dict[str, dict[str, Value]], where, ConfigError, _EXAMPLE), where)

    def as_json(self) -> str:
        """The rules in one line, equal for equal rules."""
        return json.dumps(self.rules, sort_keys=True)


def code_text(code: object) -> str:
    """A code as ``inputs.missing`` writes it: ``-1``, ``NaN``, ``0.5``, ``false``, or the text itself."""
    if isinstance(code, bool):
        return "true" if code else "false"
    if isinstance(code, float):
        if not math.isfinite(code):
            return "NaN" if math.isnan(code) else f"{'-' if code < 0 else ''}Infinity"
        return str(int(code)) if code.is_integer() and abs(code) < _FLOAT_EXACT else repr(code)
    return str(code)
