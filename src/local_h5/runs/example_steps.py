"""The steps that fetch public files and make the example from them."""

from pathlib import Path

import yaml
from msgspec import to_builtins

from local_h5.config.paths import shipped
from local_h5.config.settings import Settings
from local_h5.files.digests import DigestMemo
from local_h5.runs import code
from local_h5.runs.step import Step

PINNED_SOURCES = Path("config/example_sources.yaml")
EXAMPLE_TARGETS = "example_targets"


def fetch_steps(settings: Settings, memo: DigestMemo) -> tuple[Step, ...]:
    """Public files, by their pinned digests."""
    downloads, sources = settings.layout.downloads, shipped(PINNED_SOURCES)
    pins: dict[str, dict[str, str]] = memo.derived(
        "pinned files", memo.sha256(sources) or "none", lambda: _pinned_files(sources)
    )
    names = {
        "microdata": (
            "taxcalc",
            {"microdata": "cps.csv.gz", "weights": "cps_weights.csv.gz", "growth": "growfactors.csv"},
        ),
        "geography_tables": (
            "policyengine-us-data",
            {
                "blocks": "block_cd_distributions.csv.gz",
                "crosswalk": "block_crosswalk.csv.gz",
                "age_by_district": "acs_S0101_district_2024.json",
                "age_by_state": "acs_S0101_state_2024.json",
                "snap_by_district": "acs_S2201_district_2024.json",
            },
        ),
        "county_cbsa": ("geosnap", {"cbsa": "msa_definitions.csv"}),
    }
    return tuple(
        Step(
            f"fetch_{name}",
            {"sources": sources},
            {role: downloads / file for role, file in files.items()},
            {},
            (),
            {role: pins[package][file] for role, file in files.items() if file in pins.get(package, {})},
        )
        for name, (package, files) in names.items()
    )


def _pinned_files(path: Path) -> dict[str, dict[str, str]]:
    """Package → file name → sha256. The fetch script checks the form of the table."""
    try:
        packages = yaml.safe_load(path.read_text(encoding="utf-8"))["packages"]
        return {
            package: {name: file["sha256"] for name, file in entry["files"].items()}
            for package, entry in packages.items()
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def example_steps(settings: Settings) -> tuple[Step, ...]:
    """Source and calibration package of the example."""
    folder, downloads = settings.layout.example, settings.layout.downloads
    config = to_builtins(settings.config.example)
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
        ),
    )


def example_targets(settings: Settings) -> Step:
    """The example's target database, for a run that has none of its own."""
    downloads = settings.layout.downloads
    return Step(
        EXAMPLE_TARGETS,
        {
            "age_by_state": downloads / "acs_S0101_state_2024.json",
            "age_by_district": downloads / "acs_S0101_district_2024.json",
            "snap_by_district": downloads / "acs_S2201_district_2024.json",
        },
        {"targets": settings.layout.example_targets},
        {},
        code.EXAMPLE_TARGET_MODULES,
    )
