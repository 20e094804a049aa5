"""The steps before the areas, as data: what each reads, writes and depends on.

The rules run them; this table only says when a step's result still holds. A step whose inputs' bytes, parameters or
code changed is stale, and so is everything after it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local_h5.settings import Package, Settings
from local_h5.workflow import code
from local_h5.workflow.digests import DigestMemo

PINNED_SOURCES = Path("config/example_sources.yaml")


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
        pins: role → sha256 of an output that is known beforehand (a fetched file); such a step needs no stamp.
    """

    name: str
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]
    params: Mapping[str, Any]
    modules: tuple[str, ...]
    benchmark: Path
    pins: Mapping[str, str] = field(default_factory=dict)


def all_steps(settings: Settings, memo: DigestMemo) -> tuple[Step, ...]:
    """Every step of a run, each after those whose outputs it reads.

    Raises:
        TakeupError: a take-up programme's file is malformed.
    """
    example = _example_steps(settings) if settings.uses_example else ()
    packages = [step for package in settings.packages for step in _package_steps(settings, package)]
    made = (*example, _snapshot(settings, memo), *packages, _plan(settings, memo), *_target_steps(settings))
    read = {path for step in made for path in step.inputs.values()}
    fetched = [step for step in _fetch_steps(settings, memo) if not read.isdisjoint(step.outputs.values())]
    return (*fetched, *made)


def takeup_files(settings: Settings) -> dict[str, Path]:
    """The list of programmes and the file of each; every YAML file of the folder may be one."""
    listing = Path(settings.config["takeup"]["programmes"])
    files = {path.stem: path for path in sorted(listing.parent.glob("*.yaml"))}
    return {f"programme {stem}": path for stem, path in files.items()}


def _fetch_steps(settings: Settings, memo: DigestMemo) -> tuple[Step, ...]:
    downloads = settings.results / "downloads"
    pins: dict[str, dict[str, str]] = memo.derived(
        "pinned files", memo.sha256(PINNED_SOURCES) or "none", lambda: _pinned_files(PINNED_SOURCES)
    )
    names = {
        "microdata": ("taxcalc", ("cps.csv.gz", "cps_weights.csv.gz", "growfactors.csv")),
        "geography_tables": (
            "policyengine-us-data",
            (
                "block_cd_distributions.csv.gz",
                "block_crosswalk.csv.gz",
                "acs_S0101_district_2024.json",
                "acs_S0101_state_2024.json",
                "acs_S2201_district_2024.json",
            ),
        ),
        "county_cbsa": ("geosnap", ("msa_definitions.csv",)),
    }
    return tuple(
        Step(
            f"fetch_{name}",
            {},
            {file: downloads / file for file in files},
            {},
            (),
            _benchmark(settings, f"fetch/{name}"),
            {file: pins[package][file] for file in files if file in pins.get(package, {})},
        )
        for name, (package, files) in names.items()
    )


def _pinned_files(path: Path) -> dict[str, dict[str, str]]:
    """Package → file name → sha256; the fetch scripts check the form of the table."""
    try:
        packages = yaml.safe_load(path.read_text(encoding="utf-8"))["packages"]
        return {
            package: {name: file["sha256"] for name, file in entry["files"].items()}
            for package, entry in packages.items()
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


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
            code.POPULATION_MODULES,
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


def _target_steps(settings: Settings) -> tuple[Step, ...]:
    """The example's target database, where the run needs one and has none of its own."""
    if settings.config["inputs"]["targets"] is not None or not settings.policy.wants_targets:
        return ()
    downloads = settings.results / "downloads"
    return (
        Step(
            "example_targets",
            {
                "age_by_state": downloads / "acs_S0101_state_2024.json",
                "age_by_district": downloads / "acs_S0101_district_2024.json",
                "snap_by_district": downloads / "acs_S2201_district_2024.json",
            },
            {"targets": settings.target_database},
            {},
            code.EXAMPLE_TARGET_MODULES,
            _benchmark(settings, "example/targets"),
        ),
    )


def _snapshot(settings: Settings, memo: DigestMemo) -> Step:
    # Of the programmes, the snapshot depends on what they need from the model, not on their rates.
    listing = Path(settings.config["takeup"]["programmes"])
    files = {role: memo.sha256(path) for role, path in takeup_files(settings).items()}
    key = hashlib.sha256(json.dumps([str(listing), files, code.code_digest(["takeup/programmes"], memo)]).encode())
    return Step(
        "snapshot",
        {"dataset": settings.dataset, "variables": Path(settings.config["variables"])},
        {"snapshot": settings.prepared / "source_snapshot.h5"},
        {
            "dataset_sha256": settings.config["inputs"]["dataset_sha256"],
            "missing": settings.missing.as_json(),
            "medicaid_cost": settings.config["output"]["medicaid_cost"],
            "needs of programmes": memo.derived(
                "needs of programmes", key.hexdigest(), lambda: _needs_of_programmes(listing)
            ),
            **_model_versions(),
        },
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


def _needs_of_programmes(listing: Path) -> list[Any]:
    # Imported on use: numpy, only when a programme's file has changed.
    from local_h5.takeup.programmes import load_programmes, required_eligibility, required_variables

    programmes = load_programmes(listing)
    variables = [[v.variable, v.entity, v.source, v.optional] for v in required_variables(programmes)]
    return [variables, sorted(required_eligibility(programmes))]


def _plan(settings: Settings, memo: DigestMemo) -> Step:
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
            "area_code": code.code_digest(code.AREA_MODULES, memo),
            "validation": _structural_policy(settings, memo),
            **code.library_versions(),
        },
        code.PLAN_MODULES,
        _benchmark(settings, "prepare/plan"),
    )


def _structural_policy(settings: Settings, memo: DigestMemo) -> Any:
    """What the areas' structural verdicts depend on besides their files."""
    tables = [settings.config["areas"]["districts"], settings.config["validation"]["population"]["table"]]
    depends_on = [
        settings.config["validation"],
        settings.uses_example,
        [memo.sha256(Path(path)) for path in tables if path is not None],
        [request.to_json() for request in settings.requests],
        code.code_digest(["validation/policy", "validation/population"], memo),
    ]
    key = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()
    return memo.derived("structural policy", key, lambda: _decide_structural_policy(settings))


def _decide_structural_policy(settings: Settings) -> dict[str, Any]:
    # Imported on use: numpy and h5py, only when the policy has changed.
    from local_h5.validation.area import StructuralPolicy

    run = StructuralPolicy.from_config(settings.config)
    return {str(request.relative_path): run.decides(request) for request in settings.requests}


def _benchmark(settings: Settings, name: str) -> Path:
    return settings.results / "benchmarks" / f"{name}.tsv"


def _snapshot_file(settings: Settings) -> Path:
    return settings.prepared / "source_snapshot.h5"


def _model_versions() -> dict[str, str]:
    return {name: version for name, version in code.library_versions().items() if name.startswith("policyengine")}
