"""Where the files of a run are, below its results folder."""

from pathlib import Path, PurePosixPath

from msgspec import Struct

from local_h5 import us
from local_h5.contracts.policy import Level
from local_h5.requests import FOLDERS, AreaBuildRequest

NATION = f"{FOLDERS['national']}/{us.NATIONAL_ID}"
"""Name of the nation among the areas. Every household in its file carries the codes of its state and district."""

Area = AreaBuildRequest | str | PurePosixPath
"""An area, or the path of its H5 below the results folder, for example ``districts/NC-01.h5``."""


class PackageFiles(Struct, frozen=True):
    """What is prepared of one calibration package."""

    geography: Path
    blocks: Path
    clones: Path
    takeup: Path


class Layout(Struct, frozen=True):
    """The paths of a run.

    Attributes:
        results: the folder of all of them.
    """

    results: Path

    # --- what the areas are made from

    @property
    def downloads(self) -> Path:
        """Public files that were fetched."""
        return self.results / "downloads"

    @property
    def example(self) -> Path:
        """What the example makes: source, calibration package, targets."""
        return self.results / "example"

    @property
    def prepared(self) -> Path:
        """Prepared arrays, the plan, and the memo of digests."""
        return self.results / "prepared"

    @property
    def snapshot(self) -> Path:
        """The source as arrays."""
        return self.prepared / "source_snapshot.h5"

    @property
    def dictionary(self) -> Path:
        """What the variables of the run's files mean."""
        return self.prepared / "dictionary.json"

    def package(self, name: str) -> PackageFiles:
        """The prepared files of a calibration package."""
        folder = self.prepared / name
        return PackageFiles(*(folder / f"{part}.h5" for part in ("geography", "blocks", "clones", "takeup")))

    @property
    def memo(self) -> Path:
        """Digests of files, with their sizes and times."""
        return self.prepared / "digests.json"

    @property
    def config(self) -> Path:
        """The configuration of the run with all overrides, for the scripts."""
        return self.prepared / "config.json"

    @property
    def area_config(self) -> Path:
        """The part of the configuration that area jobs read. The whole can have megabytes with very many areas."""
        return self.prepared / "area_config.json"

    @property
    def catalog(self) -> Path:
        """The requests of all areas."""
        return self.prepared / "catalog.json"

    @property
    def plan(self) -> Path:
        """The fingerprint that each area must have."""
        return self.prepared / "plan.json"

    def request(self, area: Area) -> Path:
        """What the job of an area needs: its request and fingerprint."""
        return _json(self.prepared / "requests", area)

    def trace(self, step: str) -> Path:
        """What a step read and wrote. It is written after the step ended."""
        return self.prepared / "traces" / f"{step}.json"

    # --- the areas

    def output(self, area: Area) -> Path:
        """An area's H5. Its sidecar is beside it."""
        return self.results / _key(area)

    @property
    def nation(self) -> Path:
        """The nation's H5."""
        return self.output(f"{NATION}.h5")

    @property
    def nation_by_district(self) -> Path:
        """Folder of the Parquet files into which the nation is split, and of their index."""
        return self.results / NATION

    def record(self, level: Level, area: Area) -> Path:
        """What the checks of a level found in an area's file."""
        return _json(self.validation / level, area)

    def approval(self, area: Area) -> Path:
        """States that the policy lets an area's file be published, and for which file, sidecar and records."""
        return _json(self.results / "published", area)

    def benchmark(self, job: str) -> Path:
        """What Snakemake measured of a job, for example ``prepare/plan`` or ``districts/NC-01``."""
        return self.results / "benchmarks" / f"{job}.tsv"

    # --- validation

    @property
    def validation(self) -> Path:
        """Records, and the report."""
        return self.results / "validation"

    @property
    def example_targets(self) -> Path:
        """The target database of the example."""
        return self.example / "targets.db"

    def simulation(self, part: int) -> Path:
        """How many model runs a part took, and for which files."""
        return self.validation / f"simulation_{part}.json"

    def values(self, area: Area) -> Path:
        """What the model calculated for an area's file."""
        return self.validation / "values" / _key(area)

    # --- the run itself

    @property
    def lock(self) -> Path:
        """Held by a process that changes the folder."""
        return self.results / ".run.lock"

    @property
    def lock_holder(self) -> Path:
        """Names that process."""
        return self.results / ".run.json"


def _key(area: Area) -> str:
    return area.key if isinstance(area, AreaBuildRequest) else str(area)


def _json(folder: Path, area: Area) -> Path:
    # One path from one text: with 50,000 areas, a path that is taken apart and put together again is what costs.
    name = area.name if isinstance(area, AreaBuildRequest) else str(PurePosixPath(area).with_suffix(""))
    return folder / f"{name}.json"
