"""What is known of a version of the model: values that depend on who else is in the file, and names that moved.

One YAML file a version, ``defaults/models/<version>.yaml``. ``tests/integration/test_whole_file.py`` finds in the
installed model's source what may depend on the file, and fails on anything that the table does not know.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self, get_args

import yaml

from local_h5.contracts.schema import check
from local_h5.errors import ModelError
from local_h5.requests import AreaType

MODEL = "policyengine-us"
"""The package that the tables are about."""

Scope = Literal["file", "state", "nation"]
"""The least that a file must hold for such a value to mean what its name says: anything, whole states, the nation."""

_SCOPES: tuple[Scope, ...] = get_args(Scope)
_WHOLE: Mapping[AreaType, Scope] = {"state": "state", "national": "nation"}


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A variable whose values depend on who else is in the file.

    Attributes:
        scope: where it holds by its own formula; None when it only reads such variables.
        reads: the variables of this kind that its formula reads.
        reason: what it depends on, in words; empty when it only reads such variables.
    """

    scope: Scope | None
    reads: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The table of one version.

    Attributes:
        version: of ``policyengine-us``.
        whole_file: variable → how it depends on the file.
        own: variables whose formulas look as if they did and do not → why.
        meaning: variable of target databases → the one that means the same in this version.
    """

    version: str
    whole_file: Mapping[str, WholeFile]
    own: Mapping[str, str]
    meaning: Mapping[str, str]

    @classmethod
    def of(cls, version: str) -> Self:
        """Read the table of a version.

        Raises:
            ModelError: there is none.
        """
        path = facts_path(version)
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            known = sorted(item.stem for item in path.parent.glob("*.yaml"))
            raise ModelError(
                f"{path}: policyengine-us {version}: expected a version whose values are known to depend on the "
                f"file or not ({', '.join(known)}), found no table of it. Install a version that has one, or set "
                "validation.level: structural. docs/validation.md says how a table is made."
            ) from error
        check("model_facts", data, path, ModelError)
        return cls(
            version,
            {
                name: WholeFile(item.get("holds_in"), tuple(item.get("reads", ())), item.get("because", ""))
                for name, item in data["whole_file"].items()
            },
            data["own"],
            {name: item["measured_as"] for name, item in data["targets"].items()},
        )

    def unsettled(self, stored: Collection[str]) -> dict[str, tuple[Scope, str]]:
        """Variables that depend on who else is in a file, given the inputs that it stores.

        Args:
            stored: columns of the file, without the weight. A stored value is a row's own, and so is what follows
                from nothing else.

        Returns:
            variable → where it holds, and why not elsewhere.
        """
        found = {
            name: (item.scope, f"{name} {item.reason}")
            for name, item in self.whole_file.items()
            if item.scope is not None and name not in stored
        }
        spreading = True
        while spreading:
            spreading = False
            for name in sorted(self.whole_file.keys() - set(stored)):
                read = [found[other] for other in self.whole_file[name].reads if other in found]
                widest = max([*read, *([found[name]] if name in found else [])], key=_width, default=None)
                if widest is not None and (name not in found or _width(widest) > _width(found[name])):
                    found[name] = widest
                    spreading = True
        return found


def _width(reason: tuple[Scope, str]) -> int:
    return _SCOPES.index(reason[0])


def holds(scope: Scope, area_type: AreaType) -> bool:
    """Whether a value of that scope means what its name says in the file of an area of that type."""
    return _SCOPES.index(scope) <= _SCOPES.index(_WHOLE.get(area_type, "file"))


@cache
def facts_path(version: str) -> Path:
    """Where the table of a version lies."""
    return Path(str(files("local_h5"))) / "defaults" / "models" / f"{version}.yaml"
