"""The steps before the areas, as data: what each reads, writes and depends on.

The rules run them; this table only says when a step's result still holds. A step whose inputs' bytes, parameters or
code changed is stale, and so is everything after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_h5.validation.area import StructuralPolicy
from local_h5.workflow import code
from local_h5.workflow.settings import Package, Settings


@dataclass(frozen=True, slots=True)
class Step:
    """One job before the areas.

    Attributes:
        name: also the name of its order and stamp.
        inputs: role → file.
        outputs: role → file.
        params: configuration that decides the outputs.
        modules: library modules that decide the outputs.
        benchmark: the rule's benchmark file; Snakemake counts it among the outputs when it compares times.
    """

    name: str
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    params: Mapping[str, Any]
    modules: tuple[str, ...]
    benchmark: Path


def all_steps(settings: Settings) -> tuple[Step, ...]:
    """Every step of a run, each after those whose outputs it reads."""
    example = _example_steps(settings) if settings.uses_example else ()
    packages = [step for package in settings.packages for step in _package_steps(settings, package)]
    return (*example, _snapshot(settings), *packages, _plan(settings))


def takeup_files(settings: Settings) -> dict[str, Path]:
    """The list of programmes and the file of each; every YAML file of the folder may be one."""
    listing = Path(settings.config["takeup"]["programmes"])
    files = {path.stem: path for path in sorted(listing.parent.glob("*.yaml"))}
    return {f"programme {stem}": path for stem, path in files.items()}


def _example_steps(settings: Settings) -> tuple[Step, ...]:
    folder, downloads = settings.results / "example", settings.results / "downloads"
    config = settings.config["example"]
    population, source = folder / "population.csv", folder / "source.h5"
    return (
        Step(
            "example_population",
            {
                "states": downloads / "acs_S0101_state_2024.json",
                "districts": downloads / "acs_S0101_district_2024.json",
            },
            {"population": population},
            {},
            ("example/acs", "us"),
            _benchmark(settings, "example/population"),
        ),
        Step(
            "example_source",
            {
                "microdata": downloads / "cps.csv.gz",
                "weights": downloads / "cps_weights.csv.gz",
                "growth": downloads / "growfactors.csv",
                "population": population,
            },
            {"source": source, "metadata": folder / "source.h5.json"},
            {key: config[key] for key in ("households", "seed", "certainty_amount", "minimum_per_state")},
            code.EXAMPLE_MODULES,
            _benchmark(settings, "example/source"),
        ),
        Step(
            "example_package",
            {
                "source": source,
                "blocks": settings.block_districts,
                "population": population,
            },
            {
                "weights": folder / "calibration_weights.npy",
                "geography": folder / "geography_assignment.npz",
                "metadata": folder / "calibration_package.json",
            },
            {key: config[key] for key in ("clones", "seed", "zero_share")},
            code.EXAMPLE_MODULES,
            _benchmark(settings, "example/package"),
        ),
    )


def _snapshot(settings: Settings) -> Step:
    return Step(
        "snapshot",
        {
            "dataset": settings.dataset,
            "variables": Path(settings.config["variables"]),
            **takeup_files(settings),
        },
        {"snapshot": settings.prepared / "source_snapshot.h5"},
        {"dataset_sha256": settings.config["inputs"]["dataset_sha256"], **_model_versions()},
        code.SNAPSHOT_MODULES,
        _benchmark(settings, "prepare/snapshot"),
    )


def _package_steps(settings: Settings, package: Package) -> tuple[Step, ...]:
    folder = settings.prepared / package.name
    geography, blocks = folder / "geography.h5", folder / "blocks.h5"
    clones, takeup = folder / "clones.h5", folder / "takeup.h5"
    return (
        Step(
            f"geography_{package.name}",
            {
                "geography": package.geography,
                "dataset": settings.dataset,
                "block_districts": settings.block_districts,
                "block_crosswalk": settings.block_crosswalk,
                "county_cbsa": settings.county_cbsa,
                "districts": Path(settings.config["areas"]["districts"]),
            },
            {"geography": geography, "blocks": blocks},
            {"unknown_blocks": settings.config["geography"]["unknown_blocks"]},
            code.GEOGRAPHY_MODULES,
            _benchmark(settings, f"prepare/geography_{package.name}"),
        ),
        Step(
            f"clones_{package.name}",
            {"weights": package.weights, "geography": geography, "blocks": blocks},
            {"clones": clones},
            {},
            code.CLONE_MODULES,
            _benchmark(settings, f"prepare/clones_{package.name}"),
        ),
        Step(
            f"takeup_{package.name}",
            {"snapshot": _snapshot_file(settings), "geography": geography, **takeup_files(settings)},
            {"takeup": takeup},
            {key: settings.config["takeup"][key] for key in ("reported", "scope")},
            code.TAKEUP_MODULES,
            _benchmark(settings, f"prepare/takeup_{package.name}"),
        ),
    )


def _plan(settings: Settings) -> Step:
    prepared = {
        f"{package.name} {name}": settings.prepared / package.name / f"{name}.h5"
        for package in settings.packages
        for name in ("blocks", "clones", "takeup")
    }
    return Step(
        "plan",
        {"snapshot": _snapshot_file(settings), **prepared},
        {"plan": settings.prepared / "plan.json", "catalog": settings.prepared / "catalog.json"},
        {
            "requests": [request.to_json() for request in settings.requests],
            "compression": settings.config["output"]["compression"],
            "filter": settings.config["takeup"]["filter"],
            "area_code": code.code_digest(code.AREA_MODULES),
            "validation": _structural_policy(settings),
            **code.library_versions(),
        },
        ("workflow/fingerprint",),
        _benchmark(settings, "prepare/plan"),
    )


def _structural_policy(settings: Settings) -> dict[str, Any]:
    """What the areas' structural verdicts depend on besides their files."""
    run = StructuralPolicy.from_config(settings.config)
    return {str(request.relative_path): run.decides(request) for request in settings.requests}


def _benchmark(settings: Settings, name: str) -> Path:
    return settings.results / "benchmarks" / f"{name}.tsv"


def _snapshot_file(settings: Settings) -> Path:
    return settings.prepared / "source_snapshot.h5"


def _model_versions() -> dict[str, str]:
    return {name: version for name, version in code.library_versions().items() if name.startswith("policyengine")}
