"""The dictionary of a run, ``dictionary.json``: what the variables of its files mean."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from local_h5.files.forms import Form, Text

Period = Literal["year", "month", "eternity"]


class Variable(Form, frozen=True):
    """What one variable of the files means.

    Attributes:
        name: the name of its group in a file.
        entity: whose rows it has.
        period: for which span it has a value.
        label: for people, in a few words.
        unit: of its values, as the model names it: currency-USD, year, hour.
        description: more about it, one line.
        values: all texts that it may have, for one that has a fixed list.
        source: where its values come from.
    """

    name: Text
    entity: Text
    period: Period
    label: Text | UnsetType = UNSET
    unit: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    values: Annotated[tuple[Text, ...], Meta(min_length=1)] | UnsetType = UNSET
    source: Text | UnsetType = UNSET


class RunDictionary(Form, frozen=True):
    """What the variables of a run's files mean. A file need not have all of them."""

    variables: tuple[Variable, ...]
    kind: Literal["dictionary"] = "dictionary"
    schema_version: Literal[1] = 1
