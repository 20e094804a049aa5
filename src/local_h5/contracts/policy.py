"""The validation policy: what is checked, how far off a value may be, and what follows from it.

A policy decides; it measures nothing. :meth:`Policy.for_area` is the policy as one area sees it, which is what the
area's record quotes.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from local_h5.contracts.forms import Count, Form, Limit, Positive, Share

Level = Literal["structural", "targets"]
Reaction = Literal["fail", "warn"]
Severity = Literal["structural", "sanity", "targets"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
ANY = "*"
"""Name under which ``sanity_ceilings`` holds the ceiling of every variable without one of its own."""

EXAMPLE_POPULATION_ERROR, POPULATION_ERROR = 0.005, 0.05
"""Default of ``population.max_rel_error``: of the example, whose weights meet the table, and of any other run."""

_LIMITS = ("max_rel_abs_error", "max_share_failing", "min_targets")


class AppliedPolicy(Form, frozen=True, kw_only=True):
    """The policy as applied to one area; a structural record quotes only what concerns structure."""

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
    """What rules can ask about a target."""

    area_type: str
    area_id: str
    variable: str
    stratum: int
    reform: bool


class Rule(Struct, frozen=True):
    """Conditions that a target must all meet; each is a list of admitted values, and an absent one admits all."""

    conditions: Mapping[str, tuple[Any, ...]]

    @classmethod
    def from_config(cls, data: Mapping[str, Any]) -> Self:
        """Read ``{variable: snap, area_type: [state, district]}``."""
        return cls({name: tuple(v) if isinstance(v, list) else (v,) for name, v in data.items()})

    def admits(self, key: TargetKey) -> bool:
        """Whether a target meets every condition."""
        return all(getattr(key, name) in values for name, values in self.conditions.items())

    def admits_area(self, area_type: str, area_id: str) -> bool:
        """Whether an area can have targets that meet the conditions."""
        place = {"area_type": area_type, "area_id": area_id}
        return all(place[name] in values for name, values in self.conditions.items() if name in place)

    @property
    def is_of_area(self) -> bool:
        """Whether it asks nothing of the target besides its area."""
        return self.conditions.keys() <= {"area_type", "area_id"}


class Override(Struct, frozen=True):
    """Limits that hold instead, for the targets that a rule admits."""

    rule: Rule
    limits: Mapping[str, float]


class Policy(Struct, frozen=True):
    """A checked ``validation:`` section; every field is explained in ``config/config.yaml``."""

    enabled: bool
    level: Level
    on_failure: Mapping[Severity, Reaction]
    max_population_error: float
    require_finite: bool
    max_rel_abs_error: float
    max_share_failing: float
    min_targets: int
    sanity_ceilings: Mapping[str, float]
    include: tuple[Rule, ...]
    exclude: tuple[Rule, ...]
    overrides: tuple[Override, ...]

    @classmethod
    def from_config(cls, section: Mapping[str, Any], *, example: bool) -> Self:
        """Read the section of a configuration that satisfies its schema.

        Args:
            section: ``validation`` of the configuration.
            example: whether the run's weights are the example's, which meet the population table.
        """
        given = section["population"]["max_rel_error"]
        default = EXAMPLE_POPULATION_ERROR if example else POPULATION_ERROR
        return cls(
            section["enabled"],
            section["level"],
            dict(section["on_failure"]),
            default if given is None else given,
            section["require_finite"],
            section["max_rel_abs_error"],
            section["max_share_failing"],
            section["min_targets"],
            dict(section["sanity_ceilings"]),
            tuple(Rule.from_config(rule) for rule in section["include"]),
            tuple(Rule.from_config(rule) for rule in section["exclude"]),
            tuple(_override(item) for item in section["overrides"]),
        )

    @property
    def wants_targets(self) -> bool:
        """Whether the model is to be run against the target database."""
        return self.enabled and self.level == "targets"

    def blocks(self, severity: Severity) -> bool:
        """Whether a finding of that severity keeps the file from being published."""
        return self.on_failure[severity] == "fail"

    def admits(self, key: TargetKey) -> bool:
        """Whether a target is to be evaluated: included by some rule, if there are any, and excluded by none."""
        included = not self.include or any(rule.admits(key) for rule in self.include)
        return included and not any(rule.admits(key) for rule in self.exclude)

    def max_error_of(self, key: TargetKey) -> float:
        """Largest relative error of one target; the last override that admits it wins."""
        limit = self.max_rel_abs_error
        for override in self.overrides:
            if override.rule.admits(key):
                limit = override.limits.get("max_rel_abs_error", limit)
        return limit

    def ceiling_of(self, variable: str) -> float | None:
        """Largest plausible absolute value of a variable's targets; None when there is none."""
        return self.sanity_ceilings.get(variable, self.sanity_ceilings.get(ANY))

    def area_limits(self, area_type: str, area_id: str) -> tuple[float, int]:
        """``max_share_failing`` and ``min_targets`` over all targets of an area."""
        limits: dict[str, float] = {"max_share_failing": self.max_share_failing, "min_targets": self.min_targets}
        for override in self.overrides:
            if override.rule.is_of_area and override.rule.admits_area(area_type, area_id):
                limits |= {name: value for name, value in override.limits.items() if name in limits}
        return limits["max_share_failing"], int(limits["min_targets"])

    def group_limits(self, area_type: str, area_id: str) -> tuple[Override, ...]:
        """Overrides that limit the share failing, or ask for a number of targets, in a part of an area's targets."""
        return tuple(
            override
            for override in self.overrides
            if not override.rule.is_of_area
            and override.rule.admits_area(area_type, area_id)
            and override.limits.keys() & {"max_share_failing", "min_targets"}
        )

    def structural(self) -> AppliedPolicy:
        """The part of the policy that a structural record quotes."""
        return AppliedPolicy(
            enabled=self.enabled,
            on_failure={"structural": self.on_failure["structural"]},
            max_population_error=self.max_population_error,
            require_finite=self.require_finite,
        )

    def for_area(self, area_type: str, area_id: str) -> AppliedPolicy:
        """The policy as applied to one area, as its record quotes it."""
        share, least = self.area_limits(area_type, area_id)
        applying = [item for item in self.overrides if item.rule.admits_area(area_type, area_id)]
        return AppliedPolicy(
            enabled=self.enabled,
            level=self.level,
            on_failure=self.on_failure,
            max_population_error=self.max_population_error,
            require_finite=self.require_finite,
            max_rel_abs_error=self.max_rel_abs_error,
            max_share_failing=share,
            min_targets=least,
            sanity_ceilings=self.sanity_ceilings,
            include=tuple(rule.conditions for rule in self.include),
            exclude=tuple(rule.conditions for rule in self.exclude),
            overrides=tuple({**item.rule.conditions, **item.limits} for item in applying),
        )


def _override(item: Mapping[str, Any]) -> Override:
    rule = Rule.from_config({name: value for name, value in item.items() if name not in _LIMITS})
    return Override(rule, {name: item[name] for name in _LIMITS if name in item})
