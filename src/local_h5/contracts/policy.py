"""The validation policy: what is checked, how far off a value may be, and what follows from it.

A policy decides and measures nothing. :meth:`Policy.for_area` is the policy for one area, which the area's record
quotes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from local_h5.files.forms import Count, FilePath, Form, Limit, Positive, Share, Text
from local_h5.requests import AreaType

Level = Literal["structural", "targets"]
Reaction = Literal["fail", "warn"]
Severity = Literal["structural", "sanity", "targets"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
ANY = "*"
"""Key of ``sanity_ceilings`` for every variable without a ceiling of its own."""

EXAMPLE_POPULATION_ERROR, POPULATION_ERROR = 0.005, 0.05
"""Default of ``population.max_rel_error``: of the example, whose weights meet the table, and of any other run."""

_LIMITS = ("max_rel_abs_error", "max_share_failing", "min_targets")


class AppliedPolicy(Form, frozen=True, kw_only=True):
    """The policy as applied to one area. A structural record has only the part about structure."""

    enabled: bool
    level: Level | UnsetType = UNSET
    on_failure: Annotated[Mapping[Severity, Reaction], Meta(extra_json_schema={"required": ["structural"]})]
    max_population_error: Limit
    require_finite: bool
    max_rel_abs_error: Limit | UnsetType = UNSET
    max_share_failing: Share | UnsetType = UNSET
    min_targets: Count | UnsetType = UNSET
    sanity_ceilings: Mapping[str, Positive] | UnsetType = UNSET
    include: tuple[Mapping[str, Any], ...] | UnsetType = UNSET
    exclude: tuple[Mapping[str, Any], ...] | UnsetType = UNSET
    overrides: tuple[Mapping[str, Any], ...] | UnsetType = UNSET


class TargetKey(Struct, frozen=True):
    """The facts about a target that rules can use."""

    area_type: str
    area_id: str
    variable: str
    stratum: int
    reform: bool


SomeTypes = Annotated[tuple[AreaType, ...], Meta(min_length=1)]
SomeTexts = Annotated[tuple[Text, ...], Meta(min_length=1)]
SomeStrata = Annotated[tuple[int, ...], Meta(min_length=1)]


class Rule(Form, frozen=True):
    """Conditions on a target, which must meet all of them. Each has one or several admitted values."""

    area_type: AreaType | SomeTypes | UnsetType = UNSET
    area_id: Text | SomeTexts | UnsetType = UNSET
    variable: Text | SomeTexts | UnsetType = UNSET
    stratum: int | SomeStrata | UnsetType = UNSET
    reform: bool | UnsetType = UNSET

    RULES: ClassVar[Mapping[str, Any]] = {"minProperties": 1}

    def __post_init__(self) -> None:
        if not self.conditions:
            raise ValueError("expected at least one condition, found none")

    @property
    def conditions(self) -> dict[str, tuple[Any, ...]]:
        """Field of a target → admitted values."""
        given = {name: getattr(self, name) for name in TargetKey.__struct_fields__}
        return {n: v if isinstance(v, tuple) else (v,) for n, v in given.items() if v is not UNSET}

    @property
    def listed(self) -> dict[str, Any]:
        """The conditions, each as a list."""
        return {name: list(values) for name, values in self.conditions.items()}

    def admits(self, key: TargetKey) -> bool:
        """Whether a target meets every condition."""
        return all(getattr(key, name) in values for name, values in self.conditions.items())

    def admits_area(self, area_type: str, area_id: str) -> bool:
        """Whether an area can have targets that meet the conditions."""
        place = {"area_type": area_type, "area_id": area_id}
        return all(place[name] in values for name, values in self.conditions.items() if name in place)

    @property
    def is_of_area(self) -> bool:
        """Whether it names areas and nothing else."""
        return self.conditions.keys() <= {"area_type", "area_id"}


class Override(Rule, frozen=True):
    """Other limits for the targets that meet the conditions; without conditions for all targets."""

    max_rel_abs_error: Limit | UnsetType = UNSET
    max_share_failing: Share | UnsetType = UNSET
    min_targets: Count | UnsetType = UNSET

    RULES: ClassVar[Mapping[str, Any]] = {"anyOf": [{"required": [name]} for name in _LIMITS]}

    def __post_init__(self) -> None:
        if not self.limits:
            raise ValueError(f"expected one of {', '.join(_LIMITS)}, found none")

    @property
    def limits(self) -> dict[str, float]:
        """The limits that it sets."""
        given = {name: getattr(self, name) for name in _LIMITS}
        return {name: value for name, value in given.items() if value is not UNSET}


class OnFailure(Form, frozen=True):
    """What follows from a finding of each severity."""

    structural: Reaction
    sanity: Reaction
    targets: Reaction

    def of(self, severity: Severity) -> Reaction:
        """What follows from a finding of that severity."""
        return {"structural": self.structural, "sanity": self.sanity, "targets": self.targets}[severity]


class Population(Form, frozen=True):
    """The reference population: its table, and the largest relative difference from it; null for the defaults."""

    table: FilePath | None
    max_rel_error: Limit | None


class Policy(Form, frozen=True):
    """The section ``validation`` of the configuration; every key is explained in ``config/config.yaml``.

    Attributes:
        sanity_ceilings: variable → largest plausible absolute value of its targets; ``*`` for any other.
        training: list of the targets that the calibration was fitted on.
    """

    enabled: bool
    level: Level
    on_failure: OnFailure
    population: Population
    require_finite: bool
    max_rel_abs_error: Limit
    max_share_failing: Share
    min_targets: Count
    sanity_ceilings: Mapping[str, Positive]
    include: tuple[Rule, ...]
    exclude: tuple[Rule, ...]
    overrides: tuple[Override, ...]
    training: FilePath | None
    persons_per_run: Annotated[int, Meta(ge=1000)]
    processes: Annotated[int, Meta(ge=1)]

    def of_run(self, *, example: bool) -> "Policy":
        """The policy with the default limit of the population's error filled in.

        Args:
            example: whether the run's weights are the example's, which meet the population table.
        """
        if self.population.max_rel_error is not None:
            return self
        default = EXAMPLE_POPULATION_ERROR if example else POPULATION_ERROR
        return replace(self, population=replace(self.population, max_rel_error=default))

    @property
    def max_population_error(self) -> float:
        """Largest relative difference of an area's persons from the reference; of :meth:`of_run`."""
        limit = self.population.max_rel_error
        return POPULATION_ERROR if limit is None else limit

    @property
    def wants_targets(self) -> bool:
        """Whether files are checked against the target database with the model."""
        return self.enabled and self.level == "targets"

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of a file's records, all of which decide about it."""
        return ("structural", "targets") if self.wants_targets else ("structural",)

    def blocks(self, severity: Severity) -> bool:
        """Whether a finding of that severity keeps the file from being published."""
        return self.on_failure.of(severity) == "fail"

    def admits(self, key: TargetKey) -> bool:
        """Whether a target is to be evaluated: included by some rule, if there are any, and excluded by none."""
        included = not self.include or any(rule.admits(key) for rule in self.include)
        return included and not any(rule.admits(key) for rule in self.exclude)

    def max_error_of(self, key: TargetKey) -> float:
        """Largest relative error of one target; the last override that admits it wins."""
        limit = self.max_rel_abs_error
        for override in self.overrides:
            if override.admits(key):
                limit = override.limits.get("max_rel_abs_error", limit)
        return limit

    def ceiling_of(self, variable: str) -> float | None:
        """Largest plausible absolute value of a variable's targets; None when there is none."""
        return self.sanity_ceilings.get(variable, self.sanity_ceilings.get(ANY))

    def area_limits(self, area_type: str, area_id: str) -> tuple[float, int]:
        """``max_share_failing`` and ``min_targets`` over all targets of an area."""
        limits: dict[str, float] = {"max_share_failing": self.max_share_failing, "min_targets": self.min_targets}
        for override in self.overrides:
            if override.is_of_area and override.admits_area(area_type, area_id):
                limits |= {name: value for name, value in override.limits.items() if name in limits}
        return limits["max_share_failing"], int(limits["min_targets"])

    def group_limits(self, area_type: str, area_id: str) -> tuple[Override, ...]:
        """Overrides that limit the share failing, or ask for a number of targets, in a part of an area's targets."""
        return tuple(
            override
            for override in self.overrides
            if not override.is_of_area
            and override.admits_area(area_type, area_id)
            and override.limits.keys() & {"max_share_failing", "min_targets"}
        )

    def structural(self) -> AppliedPolicy:
        """The part of the policy that a structural record quotes."""
        return AppliedPolicy(
            enabled=self.enabled,
            on_failure={"structural": self.on_failure.structural},
            max_population_error=self.max_population_error,
            require_finite=self.require_finite,
        )

    def for_area(self, area_type: str, area_id: str) -> AppliedPolicy:
        """The policy as applied to one area, as its record quotes it."""
        share, least = self.area_limits(area_type, area_id)
        applying = [item for item in self.overrides if item.admits_area(area_type, area_id)]
        return AppliedPolicy(
            enabled=self.enabled,
            level=self.level,
            on_failure={severity: self.on_failure.of(severity) for severity in SEVERITIES},
            max_population_error=self.max_population_error,
            require_finite=self.require_finite,
            max_rel_abs_error=self.max_rel_abs_error,
            max_share_failing=share,
            min_targets=least,
            sanity_ceilings=self.sanity_ceilings,
            include=tuple(rule.listed for rule in self.include),
            exclude=tuple(rule.listed for rule in self.exclude),
            overrides=tuple({**item.listed, **item.limits} for item in applying),
        )
