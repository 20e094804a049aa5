"""The adapter through which validation runs the country model; only ``local_h5.prepared.model`` imports it as well."""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from local_h5.errors import ModelError
from local_h5.prepared.garbage import rare_collections
from local_h5.validation.targets.model_facts import MODEL

PACKAGES = (MODEL, "policyengine-core")

_UPSTREAM_FIRST = ("person", "marital_unit", "tax_unit", "family", "spm_unit", "household")
"""Taxes before what households have left: asking for the whole first makes the model take the parts in branches of its
own, which cost 199 s against 55 s for household_net_income and income_tax of 11,000 persons."""


class Model(Protocol):
    """What validation needs of a model."""

    def entity_of(self, variable: str) -> str | None:
        """Entity of a variable; None when the model does not have it."""

    def in_order(self, variables: Iterable[str]) -> tuple[str, ...]:
        """Variables in an order that lets later ones use what earlier ones computed."""

    def calculate(self, path: Path, variables: Iterable[str], year: int) -> Mapping[str, np.ndarray]:
        """Values of variables for every row of their entity.

        Raises:
            ModelError: the model refuses the data.
        """

    def income_tax_without(self, path: Path, variable: str, year: int) -> np.ndarray:
        """Income tax of every tax unit with a variable neutralised.

        Raises:
            ModelError: the model refuses the data.
        """


def model_versions() -> dict[str, str]:
    """Versions of the installed model, without importing it.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return {name: importlib.metadata.version(name) for name in PACKAGES}
    except importlib.metadata.PackageNotFoundError as error:
        raise _not_installed(error) from error


class CountryModel:
    """``policyengine_us``, started once (16–30 s); every run after that takes a dataset file.

    Raises:
        ModelError: it is not installed.
    """

    @rare_collections()
    def __init__(self) -> None:
        try:
            from policyengine_us import Microsimulation
            from policyengine_us.system import system
        except ImportError as error:
            raise _not_installed(error) from error
        self._simulation: Any = Microsimulation
        self._variables: Mapping[str, Any] = system.variables

    def entity_of(self, variable: str) -> str | None:
        """See :class:`Model`."""
        found = self._variables.get(variable)
        return None if found is None else str(found.entity.key)

    def in_order(self, variables: Iterable[str]) -> tuple[str, ...]:
        """See :class:`Model`."""
        return tuple(sorted(variables, key=lambda name: (_UPSTREAM_FIRST.index(str(self.entity_of(name))), name)))

    def calculate(self, path: Path, variables: Iterable[str], year: int) -> Mapping[str, np.ndarray]:
        """See :class:`Model`."""
        return self._run(path, variables, year)

    def income_tax_without(self, path: Path, variable: str, year: int) -> np.ndarray:
        """See :class:`Model`."""
        # A reform would copy the whole system, 25 s each time; a default in every period is what neutralising gives.
        definition = self._variables[variable]
        periods = (
            [f"{year}-{month:02d}" for month in range(1, 13)] if definition.definition_period == "month" else [year]
        )

        def neutralise(simulation: Any) -> None:
            count = simulation.populations[str(self.entity_of(variable))].count
            for period in periods:
                simulation.set_input(variable, period, np.full(count, definition.default_value))

        return self._run(path, ("income_tax",), year, neutralise)["income_tax"]

    def _run(
        self, path: Path, variables: Iterable[str], year: int, prepare: Callable[[Any], None] | None = None
    ) -> dict[str, np.ndarray]:
        try:
            simulation = self._simulation(dataset=str(path))
            if prepare is not None:
                prepare(simulation)
            return {name: _plain(simulation.calculate(name, year, use_weights=False)) for name in variables}
        except Exception as error:  # cycles, unknown variables and more have classes of the model's own
            raise ModelError(
                f"{path}: expected a dataset that the model can calculate, found "
                f"{f'{type(error).__name__}: {error}'[:500]}. The message is the model's own; the file's "
                "structural record may say why."
            ) from error


def _plain(values: Any) -> np.ndarray:
    """A model array as numbers, or as fixed-width bytes (enums by member name)."""
    decode = getattr(values, "decode_to_str", None)
    array = np.asarray(decode() if decode is not None else values)
    return np.char.encode(array.astype("U"), "utf-8") if array.dtype.kind in "OU" else array


def _not_installed(error: ImportError) -> ModelError:
    return ModelError(
        f"policyengine_us: expected the installed model, found {error}. Install the extra 'model' of "
        "local-h5. Or set validation.level: structural."
    )
