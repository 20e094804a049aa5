"""Facts about one version of the model: which values depend on who else is in the file, and which names moved.

One YAML file a version, ``defaults/models/<version>.yaml``. ``tests/integration/test_whole_file.py`` finds in the
installed model's source what may depend on the file, and fails on anything that is not in the table.
"""

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from msgspec import Meta, field

from local_h5.errors import ModelError
from local_h5.files import forms
from local_h5.files.forms import Form, Text
from local_h5.requests import AreaType

MODEL = "policyengine-us"
"""The package that the tables are about."""

Scope = Literal["file", "state", "nation"]
"""The least that a file must hold for such a value to mean what its name says: anything, whole states, the nation."""

_SCOPES: tuple[Scope, ...] = get_args(Scope)
_WHOLE: Mapping[AreaType, Scope] = {"state": "state", "national": "nation"}


Name = Annotated[str, forms.matching("[a-z_][a-z0-9_]*")]
"""Of a variable."""


class WholeFile(Form, frozen=True):
    """How a variable's values depend on who else is in the file.

    Attributes:
        scope: where it holds by its own formula; None when it only reads such variables.
        reads: the variables of this kind that its formula reads.
        reason: what it depends on, in words that follow its name; None when it only reads such variables.
    """

    scope: Scope | None = field(name="holds_in", default=None)
    reads: Annotated[tuple[Name, ...], Meta(extra_json_schema={"minItems": 1, "uniqueItems": True})] = ()
    reason: Text | None = field(name="because", default=None)

    RULES: ClassVar[Mapping[str, Any]] = {
        "dependentRequired": {"holds_in": ["because"], "because": ["holds_in"]},
        "anyOf": [{"required": ["holds_in"]}, {"required": ["reads"]}],
    }

    def __post_init__(self) -> None:
        if (self.scope is None) != (self.reason is None) or (self.scope is None and not self.reads):
            raise ValueError("expected holds_in and because, or reads, or all three, found others")


class Moved(Form, frozen=True):
    """The variable that now means what a target's does; why, and who says so."""

    measured_as: Name
    because: Text
    source: Text


class ModelFacts(Form, frozen=True):
    """The table of one version of ``policyengine-us``.

    Attributes:
        whole_file: variable → how it depends on the file.
        own: variables whose formulas look as if they did and do not → why.
        targets: variable of target databases whose meaning this version gives to another name.
    """

    whole_file: Mapping[Name, WholeFile]
    own: Mapping[Name, Text]
    targets: Mapping[Name, Moved]

    @classmethod
    def of(cls, version: str) -> Self:
        """Read the table of a version.

        Raises:
            ModelError: there is none, or it is of another form.
        """
        path = facts_path(version)
        if not path.is_file():
            known = sorted(item.stem for item in path.parent.glob("*.yaml"))
            raise ModelError(
                f"{path}: policyengine-us {version}: expected a version whose values are known to depend on the "
                f"file or not ({', '.join(known)}), found no table of it. Install a version that has one, or set "
                "validation.level: structural. docs/validation.md says how a table is made."
            )
        return forms.read_yaml(path, cls, ModelError, "docs/validation.md says how a table is made.")

    @property
    def meaning(self) -> dict[str, str]:
        """Variable of target databases → the one that means the same in this version."""
        return {name: moved.measured_as for name, moved in self.targets.items()}

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
