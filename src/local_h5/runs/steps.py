"""The steps around the areas, declared once: what each reads, writes and depends on.

The rules take inputs and outputs from here. The comparison by content (:mod:`local_h5.runs.staleness`) also uses
parameters and code. A step is stale if the bytes of its inputs, its parameters or its code changed, and so are the
steps that read it. A missing input makes nothing stale: it is made when a step needs it.
"""

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import to_builtins

from local_h5.config.settings import Package, Settings
from local_h5.contracts.config import OWN, UnitEntity
from local_h5.contracts.results import sidecar_path
from local_h5.files.digests import DigestMemo
from local_h5.runs import code
from local_h5.runs.example_steps import EXAMPLE_TARGETS, example_steps, example_targets, fetch_steps
from local_h5.runs.step import File, Step

REPORT = "report"
NATION_PARQUET = "nation_parquet"
REPORT_FILES = {
    "page": "report.html",
    "areas": "areas.parquet",
    "targets": "targets.parquet",
    "summary": "summary.json",
}
FIGURES = (
    "target_against_value",
    "error_by_family",
    "error_by_area_type",
    "district_map_target_error",
    "district_map_population_error",
    "district_map_sample_size",
    "weights",
    "sample_sizes",
    "seconds",
)
"""Pictures of the report, each a file ``figures/<name>.svg`` beside it."""


def job_name(step: str) -> str:
    """Folder and name of a step's log and benchmark, below ``logs`` and ``benchmarks``."""
    if step == REPORT:
        return f"validation/{step}"
    if step == NATION_PARQUET:
        return f"nation/{step}"
    for prefix, folder in (("fetch_", "fetch"), ("example_", "example")):
        if step.startswith(prefix):
            return f"{folder}/{step.removeprefix(prefix)}"
    return f"prepare/{step}"


def declared_steps(settings: Settings, memo: DigestMemo) -> dict[str, Step]:
    """Every step that a rule describes, by name, each after those whose outputs it reads.

    The steps of a package appear for each package of the run, and once with ``{package}`` in name and outputs, which
    is how the rules call them.

    Raises:
        InputError: a take-up programme's file is malformed.
    """
    cloned = () if settings.from_dataset else settings.packages
    packages = [*cloned, Package("{package}", Path(), Path())]
    steps = (
        *fetch_steps(settings, memo),
        *example_steps(settings),
        _snapshot(settings, memo),
        *(step for package in packages for step in _package_steps(settings, package)),
        _own_places(settings),
        _plan(settings, memo),
        example_targets(settings),
        _nation_parquet(settings),
        _report(settings),
    )
    return {step.name: step for step in steps}


def needed_steps(settings: Settings, steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """The steps that the areas of a run need, in order. A run with its own inputs needs no example steps."""
    wanted = {"plan"}
    if settings.policy.wants_targets and settings.config.inputs.targets is None:
        wanted.add(EXAMPLE_TARGETS)
    made_by = {path: step.name for step in steps.values() for path in step.outputs.values()}
    pending = [*wanted]
    while pending:
        for path in steps[pending.pop()].inputs.values():
            name = made_by.get(path) if isinstance(path, Path) else None
            if name is not None and name not in wanted:
                wanted.add(name)
                pending.append(name)
    return tuple(step for name, step in steps.items() if name in wanted)


def takeup_files(settings: Settings) -> dict[str, Path]:
    """The file of each take-up programme: every YAML file beside the list of them may be one."""
    listing = settings.programmes
    return {f"programme {path.stem}": path for path in sorted(listing.parent.glob("*.yaml")) if path != listing}


def _snapshot(settings: Settings, memo: DigestMemo) -> Step:
    # The snapshot depends on the variables that the programmes need from the model, not on their rates.
    listing = settings.programmes
    files = {role: memo.sha256(path) for role, path in {"list": listing, **takeup_files(settings)}.items()}
    key = _digest([str(listing), files, code.code_digest(["takeup/programmes"], memo)])
    return Step(
        "snapshot",
        {"dataset": settings.dataset, "variables": Path(settings.config.variables)},
        {"snapshot": settings.layout.snapshot},
        {
            "dataset_sha256": settings.config.inputs.dataset_sha256,
            "missing": settings.missing.as_json(),
            "medicaid_cost": settings.config.output.medicaid_cost,
            "own_places": settings.from_dataset,
            **_dataset_form(settings),
            "needs of programmes": memo.derived("needs of programmes", key, lambda: _needs_of_programmes(listing)),
            **{name: version for name, version in code.library_versions().items() if name.startswith("policyengine")},
        },
        code.SNAPSHOT_MODULES,
        handed={"programmes": listing},
    )


def _dataset_form(settings: Settings) -> dict[str, Any]:
    """How a dataset of several years, or with missing tables, is read."""
    return {"year": settings.config.inputs.year, "units": dict(settings.config.inputs.units)}


def _own_places(settings: Settings) -> Step:
    """What a dataset with weights and places of its own has instead of a package."""
    prepared = settings.layout.package(OWN)
    return Step(
        f"places_{OWN}",
        {
            "dataset": settings.dataset,
            "districts": Path(settings.config.areas.districts),
            "programmes": settings.programmes,
        },
        {"blocks": prepared.blocks, "clones": prepared.clones, "takeup": prepared.takeup},
        {"missing": settings.missing.as_json(), **_dataset_form(settings)},
        code.OWN_MODULES,
        beside=takeup_files(settings),
    )


def steps_of(package: Package) -> tuple[str, ...]:
    """The steps that prepare a package, in order."""
    return (
        (f"places_{OWN}",)
        if package.name == OWN
        else tuple(f"{kind}_{package.name}" for kind in ("geography", "clones", "takeup"))
    )


def _package_steps(settings: Settings, package: Package) -> tuple[Step, ...]:
    prepared = settings.layout.package(package.name)
    return (
        Step(
            f"geography_{package.name}",
            {
                "geography": package.geography,
                "dataset": settings.dataset,
                "block_districts": settings.block_districts,
                "block_crosswalk": settings.block_crosswalk,
                "county_cbsa": settings.county_cbsa,
                "districts": Path(settings.config.areas.districts),
            },
            {"geography": prepared.geography, "blocks": prepared.blocks},
            {"unknown_blocks": settings.config.geography.unknown_blocks},
            code.GEOGRAPHY_MODULES,
        ),
        Step(
            f"clones_{package.name}",
            {"weights": package.weights, "geography": prepared.geography, "blocks": prepared.blocks},
            {"clones": prepared.clones},
            {},
            code.CLONE_MODULES,
        ),
        Step(
            f"takeup_{package.name}",
            {"snapshot": settings.layout.snapshot, "geography": prepared.geography, "programmes": settings.programmes},
            {"takeup": prepared.takeup},
            {"reported": settings.config.takeup.reported, "scope": settings.config.takeup.scope},
            code.TAKEUP_MODULES,
            beside=takeup_files(settings),
        ),
    )


def _needs_of_programmes(listing: Path) -> list[Any]:
    # Imported on use: numpy, only when a programme's file has changed.
    from local_h5.takeup.programmes import load_programmes, required_eligibility, required_variables

    programmes = load_programmes(listing)
    drawn = [[programme.variable, programme.entity] for programme in programmes]  # they are in the dictionary
    variables = [[v.variable, v.entity, v.source, v.optional] for v in required_variables(programmes)]
    return [variables, sorted(required_eligibility(programmes)), drawn]


def _plan(settings: Settings, memo: DigestMemo) -> Step:
    prepared = {
        f"{package.name}_{name}": getattr(settings.layout.package(package.name), name)
        for package in settings.packages
        for name in ("blocks", "clones", "takeup")
    }
    requests = _digest(settings.requests)
    return Step(
        "plan",
        {"snapshot": settings.layout.snapshot, **prepared},
        {
            "plan": settings.layout.plan,
            "catalog": settings.layout.catalog,
            "dictionary": settings.layout.dictionary,
        },
        {
            "requests": requests,
            "choices": to_builtins(settings.config.area_choices),
            "area_code": code.code_digest(code.AREA_MODULES, memo),
            "validation": _structural_policy(settings, requests, memo),
            **code.library_versions(),
        },
        code.PLAN_MODULES,
    )


def _nation_parquet(settings: Settings) -> Step:
    """The nation by district; its name is also that of its rule."""
    h5, folder = settings.layout.nation, settings.layout.nation_by_district
    roles = ("household", "person", *get_args(UnitEntity), "index")
    return Step(
        NATION_PARQUET,
        {"h5": h5, "sidecar": sidecar_path(h5)},
        {role: folder / f"{role}.parquet" for role in roles},
        {package: _version_of(package) for package in ("pyarrow", "pe-microdata")},
        code.NATION_MODULES,
    )


def _version_of(package: str) -> str | None:
    """The installed version of a package that not every run needs; None without it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _report(settings: Settings) -> Step:
    """The report about all areas, and about what would be published; its name is also that of its rule."""
    files = {**REPORT_FILES, **{name: f"figures/{name}.svg" for name in FIGURES}}
    return Step(
        REPORT,
        _Later(partial(_read_by_report, settings)),
        {name: settings.layout.validation / file for name, file in files.items()},
        _Later(lambda: {"config": settings.config.to_json(), "pages": code.package_digest("pe_data", "pages", "maps")}),
        code.REPORT_MODULES,
    )


def _read_by_report(settings: Settings) -> dict[str, File]:
    layout, levels = settings.layout, settings.policy.levels
    split = tuple(_nation_parquet(settings).outputs.values()) if settings.config.output.nation_parquet else ()
    return {
        "sidecars": tuple(sidecar_path(layout.output(request)) for request in settings.requests),
        "records": tuple(layout.record(level, r) for r in settings.requests for level in levels),
        **({"split": split} if split else {}),
    }


class _Later(Mapping[str, Any]):
    """Files or parameters, found when somebody looks: every process declares the report, hardly any one reads it."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._made = cache(make)

    def __getitem__(self, role: str) -> Any:
        return self._made()[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


def _structural_policy(settings: Settings, requests: str, memo: DigestMemo) -> str:
    """Digest of the limits and populations that decide the areas' structural verdicts."""
    tables = [settings.config.areas.districts, settings.config.validation.population.table]
    depends_on = [
        to_builtins(settings.config.validation),
        settings.config.inputs.example,
        [memo.sha256(Path(path)) for path in tables if path is not None],
        requests,
        code.code_digest(["contracts/policy", "validation/structural/population"], memo),
    ]
    return str(memo.derived("structural policy", _digest(depends_on), lambda: _decide_structural_policy(settings)))


def _decide_structural_policy(settings: Settings) -> str:
    # Imported on use: numpy and h5py, only when the policy has changed.
    from local_h5.validation.structural.verdict import StructuralPolicy

    run = StructuralPolicy.from_config(settings.config.structural)
    return _digest({request.key: run.decides(request) for request in settings.requests})


def _digest(data: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()
