"""The plan of a run for machines: ``local-h5 plan --format json``."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, field

from local_h5.files import forms
from local_h5.files.forms import Count, Form, Limit, Text
from local_h5.requests import AreaType

AreaKey = Annotated[str, forms.matching(r"[a-z]+/[A-Za-z0-9_-]+\.h5")]
"""Path of the H5 below the results folder."""

Keys = Annotated[tuple[AreaKey, ...], Meta(extra_json_schema={"uniqueItems": True})]
SomeKeys = Annotated[tuple[AreaKey, ...], Meta(min_length=1, extra_json_schema={"uniqueItems": True})]


class StepPlan(Form, frozen=True):
    """A step that would run, and why; seconds that its job took the last time, null when there is no benchmark file."""

    name: str
    reasons: Annotated[tuple[str, ...], Meta(min_length=1)]
    job_seconds: Limit | None


class Estimate(Form, frozen=True):
    """Bytes and seconds of a run, from the files and benchmark files of the last run.

    Attributes:
        size_bytes: of the H5 files; None when no area of that kind was built before.
        job_seconds: by the clock, of areas and steps, one job after another; None when there is no benchmark file.
    """

    size_bytes: Count | None = field(name="bytes")
    job_seconds: Limit | None


class PlanCounts(Form, frozen=True):
    """Numbers of areas that a run would build, cannot decide about, or leave."""

    build: Count
    undecided: Count
    untouched: Count


class BuiltGroup(Form, frozen=True):
    """Areas that are built for one reason, and their number by type. An area is in one group only."""

    reason: Text
    words: Text
    counts: Mapping[AreaType, Annotated[int, Meta(ge=1)]]
    areas: SomeKeys


class CheckedGroup(Form, frozen=True):
    """Areas that are not built but checked against the targets again, for one reason."""

    reason: Text
    areas: SomeKeys


class Undecided(Form, frozen=True):
    """Areas that cannot be compared before the steps have run, and why."""

    reason: str | None
    areas: Keys


class OwnDataset(Form, frozen=True):
    """A dataset with weights, places and take-up of its own.

    Attributes:
        households: with a weight above 0.
        unweighted: households whose weight is 0, which are in no file.
        without: level of places (``households_without_district``) → households where it is not known.
        takeup_kept: take-up variables that the dataset has.
        takeup_absent: take-up variables that it lacks; they are not drawn.
    """

    households: Count
    unweighted: Count
    without: Mapping[str, Count]
    takeup_kept: tuple[str, ...]
    takeup_absent: tuple[str, ...]


class PlanDocument(Form, frozen=True, kw_only=True):
    """What one plain run would do.

    Attributes:
        groups: areas that are built, by reason.
        checked: areas that are only checked again, by reason.
        steps: jobs before the areas that run.
        afterwards: jobs after the areas that run.
        orphans: files in the output folders that belong to no area.
        dataset: where weights and places are the dataset's own.
    """

    schema_version: Literal[2] = 2
    counts: PlanCounts
    groups: tuple[BuiltGroup, ...]
    checked: tuple[CheckedGroup, ...]
    undecided: Undecided
    untouched: Keys
    steps: tuple[StepPlan, ...]
    afterwards: tuple[StepPlan, ...] = ()
    orphans: tuple[str, ...]
    estimate: Estimate
    dataset: OwnDataset | None = None

    @property
    def build(self) -> tuple[str, ...]:
        """All areas that are built."""
        return tuple(area for group in self.groups for area in group.areas)

    @property
    def is_empty(self) -> bool:
        """Whether a run would find nothing to do."""
        return not (self.steps or self.groups or self.undecided.areas or self.checked or self.afterwards)
