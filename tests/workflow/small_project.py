"""A project folder with everything real but small: 6 households, 6 clones, 11 blocks in 6 districts of 5 states.

The model is imported once for all tests: the project's ``scripts/prepare_snapshot.py`` takes the snapshot of a source
that was prepared before, by the real code, from a cache.
"""

import gzip
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import yaml
from forked_commands import python
from tiny_world import source_columns, write_source

from local_h5.files.arrays import write_arrays
from local_h5.inputs.source import read_source
from local_h5.prepared.steps import load_variable_rules, own_snapshot, prepare_snapshot
from local_h5.runs.code import SNAPSHOT_MODULES, code_digest
from local_h5.takeup.programmes import load_programmes

ROOT = Path(__file__).resolve().parents[2]
N_HOUSEHOLDS, N_CLONES = 6, 6

BLOCKS = {
    # block: district, sldu, sldl, place, vtd, puma, zcta
    "020130001001000": (201, "0S", "037", "", "000040", "00400", "99612"),
    "110010001011000": (1101, "", "", "", "", "", ""),
    "360610001001000": (3612, "026", "065", "51000", "000011", "04121", "10004"),
    "360050001001000": (3612, "034", "087", "51000", "000012", "04221", "10451"),
    "360470001001000": (3612, "026", "052", "51000", "000013", "04321", "11201"),
    "360810001001000": (3612, "012", "037", "51000", "000014", "04421", "11101"),
    "360850003001000": (3612, "024", "061", "51000", "000015", "04521", "10301"),
    "370010201001000": (3701, "024", "063", "09060", "00012E", "01500", "27217"),
    "370370207001000": (3701, "024", "064", "", "00012E", "01500", "27217"),
    "370630001001000": (3704, "020", "029", "19000", "000001", "01302", "27701"),
    "518100400001000": (5102, "007", "021", "82000", "000002", "51167", "23451"),
}
DISTRICTS = {"AK-01": 201, "DC-01": 1101, "NC-01": 3701, "NC-04": 3704, "NY-12": 3612, "VA-02": 5102}
ALL = {
    "national/US", "cities/NYC", "custom/durham",
    *(f"districts/{name}" for name in DISTRICTS), *(f"states/{name[:2]}" for name in DISTRICTS),
}  # fmt: skip

CACHED_SNAPSHOT = '''"""The real script, but a source that was prepared before is not prepared again."""
import argparse, hashlib, os, shutil, subprocess, sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--dataset", type=Path)
parser.add_argument("--output", type=Path)
args, _ = parser.parse_known_args()
kept = Path(os.environ["LOCAL_H5_TEST_SNAPSHOTS"], hashlib.sha256(args.dataset.read_bytes()).hexdigest())
if not kept.exists():
    subprocess.run([sys.executable, "scripts/real_prepare_snapshot.py", *sys.argv[1:]], check=True)
    shutil.copyfile(args.output, kept)
temporary = args.output.with_name(f".{args.output.name}.tmp")
shutil.copyfile(kept, temporary)
temporary.replace(args.output)
'''

_BUILT = re.compile(r"^(?:Job \d+: )?((?:national|states|districts|cities|custom)/[\w-]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    text: str
    cpu: float

    @property
    def built(self) -> set[str]:
        return set(_BUILT.findall(self.text))


@dataclass(frozen=True)
class Project:
    """A folder in which Snakemake runs."""

    folder: Path
    snapshots: Path

    def run(self, *args: str, check: bool = True) -> Outcome:
        return self.command("-m", "snakemake", "-j", "2", *(args or ("all",)), check=check)

    def command(self, *args: str, check: bool = True) -> Outcome:
        """Run `python ARGS…` in the project."""
        done = python(list(args), self.folder, self.environment())
        outcome = Outcome(done.returncode, done.stdout + done.stderr, done.cpu)
        if check and outcome.status:
            raise AssertionError(outcome.text)
        return outcome

    def local_h5(self, *args: str, check: bool = True) -> Outcome:
        return self.command("-c", "from local_h5.cli import main; main()", *args, check=check)

    def plan(self, *args: str) -> dict:
        text = self.local_h5("plan", "--format", "json", *args).text
        return json.loads(text)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(self.folder / "src"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LOCAL_H5_TEST_SNAPSHOTS": str(self.snapshots),
            "XDG_CACHE_HOME": str(self.folder / ".cache"),
            "OPENBLAS_NUM_THREADS": "1",
        }

    def path(self, name: str) -> Path:
        return self.folder / name

    def h5(self, area: str) -> Path:
        return self.folder / "results" / f"{area}.h5"

    def sidecar(self, area: str) -> Path:
        return self.folder / "results" / f"{area}.h5.result.json"

    def bytes_of_results(self) -> dict[str, str]:
        """Area → sha256 of H5 and sidecar."""
        found = {}
        for path in sorted((self.folder / "results").glob("*/*.h5*")):
            if path.parent.name in ("national", "states", "districts", "cities", "custom"):
                found[f"{path.parent.name}/{path.name}"] = sha256(path.read_bytes()).hexdigest()
        return found

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))

    def change_weights(self, districts: Sequence[str]) -> None:
        """New weights for the first clone of each of the districts."""
        path = self.folder / "inputs/weights.npy"
        weights = np.load(path)
        codes = district_of_rows()
        for name in districts:
            weights[np.flatnonzero(codes == DISTRICTS[name])[0]] += 0.25
        np.save(path, weights)

    def configure(self, **changes: object) -> None:
        path = self.folder / "config/config.yaml"
        config = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            section, _, name = key.partition("__")
            config[section][name] = value
        path.write_text(yaml.safe_dump(config))

    def copy(self, folder: Path) -> "Project":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.snapshots)


def blocks_of_rows() -> np.ndarray:
    names = np.array(list(BLOCKS))
    return names[np.arange(N_CLONES * N_HOUSEHOLDS) % len(names)]


def district_of_rows() -> np.ndarray:
    return np.array([BLOCKS[block][0] for block in blocks_of_rows()])


def make_project(folder: Path, snapshots: Path) -> Project:
    """The project with its inputs; nothing has run in it."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("rules", "scripts", "config", "profiles", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("local_h5", "local_h5_example", "foreign_pickle"):
        shutil.copytree(ROOT / "src" / name, folder / "src" / name, ignore=ignored)
    shutil.copyfile(ROOT / "Snakefile", folder / "Snakefile")
    (folder / "scripts/prepare_snapshot.py").rename(folder / "scripts/real_prepare_snapshot.py")
    (folder / "scripts/prepare_snapshot.py").write_text(CACHED_SNAPSHOT)
    write_inputs(folder / "inputs")
    project = Project(folder, snapshots)
    config = yaml.safe_load((folder / "config/config.yaml").read_text())
    for section, values in small_config("inputs").items():
        config[section] |= values
    if "validation" in config:
        config["validation"]["enabled"] = False
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    return project


def small_config(inputs: str) -> dict[str, dict[str, object]]:
    """What a configuration says of the small inputs in a folder."""
    return {
        "inputs": {
            "weights": f"{inputs}/weights.npy",
            "geography": f"{inputs}/geography.npz",
            "dataset": f"{inputs}/source.h5",
            "tables": {
                "block_districts": f"{inputs}/block_districts.csv.gz",
                "block_crosswalk": f"{inputs}/block_crosswalk.csv.gz",
                "county_cbsa": f"{inputs}/county_cbsa.csv",
            },
        },
        "areas": {
            "districts": f"{inputs}/districts.csv",
            "custom": [{"id": "durham", "filters": [{"field": "county", "op": "eq", "value": "37063"}]}],
        },
    }


def write_inputs(folder: Path, columns: Mapping[str, Mapping[str, np.ndarray]] | None = None) -> None:
    folder.mkdir()
    write_source(folder / "source.h5", source_columns() if columns is None else columns)
    blocks = blocks_of_rows()
    np.savez(
        folder / "geography.npz",
        block_geoid=blocks.astype("U15"),
        cd_geoid=district_of_rows().astype("U4"),
        county_fips=np.array([block[:5] for block in blocks]),
        state_fips=np.array([int(block[:2]) for block in blocks]),
        n_records=N_HOUSEHOLDS,
        n_clones=N_CLONES,
    )
    np.save(folder / "weights.npy", np.linspace(1.0, 9.0, N_CLONES * N_HOUSEHOLDS))
    with gzip.open(folder / "block_districts.csv.gz", "wt") as stream:
        stream.write("cd_geoid,block_geoid,probability\n")
        stream.writelines(f"{row[0]},{block},1.0\n" for block, row in BLOCKS.items())
    with gzip.open(folder / "block_crosswalk.csv.gz", "wt") as stream:
        stream.write("block_geoid,sldu,sldl,place_fips,vtd,puma,zcta\n")
        stream.writelines(",".join([block, *row[1:]]) + "\n" for block, row in BLOCKS.items() if any(row[1:]))
    (folder / "county_cbsa.csv").write_text("stcofips,CBSA Code\n36061,35620\n37063,20500\n51810,47260\n11001,47900\n")
    lines = ["district,code,state,state_fips,population_2024"]
    lines += [f"{name},{code},{name[:2]},{code // 100},700000" for name, code in DISTRICTS.items()]
    (folder / "districts.csv").write_text("\n".join(lines) + "\n")


def write_coded(path: Path, *, raise_income_of: int | None = None) -> Path:
    """A source with weights and places of its own: a household for each block, and two that know their state alone.

    Args:
        path: to write.
        raise_income_of: household with another value.
    """
    blocks = list(BLOCKS)
    n = len(blocks) + 2
    state = np.array([*(int(block[:2]) for block in blocks), 37, 36])
    district = np.array([*(BLOCKS[block][0] for block in blocks), 0, 0])
    unit = np.arange(1, n + 1)
    columns: dict[str, np.ndarray] = {
        "household_weight": np.linspace(1.0, 9.0, n).astype(np.float32),
        "state_fips": state,
        "congressional_district_geoid": np.where(np.isin(state, [2, 11]), state * 100, district),
        "county_fips": np.array([*(block[:5].encode() for block in blocks), b"", b""]),
        "puma": np.array([*(BLOCKS[block][5].encode() for block in blocks), b"01302", b"04121"]),
        "age": np.full(n, 44),
        "employment_income": np.where(unit == raise_income_of, 77.0, 1_000.0 * unit),
        "takes_up_snap_if_eligible": unit % 2 == 0,
    }
    for entity in ("household", "person", "tax_unit", "spm_unit", "family", "marital_unit"):
        columns[f"{entity}_id"] = 100 + unit
        if entity != "person":
            columns[f"person_{entity}_id"] = 100 + unit
    return write_source(path, {name: {"2024": values} for name, values in columns.items()})


def change_one_variable(source: Path) -> None:
    """Another value of one variable of the source."""
    with h5py.File(source, "r+") as file:
        values = file["employment_income/2024"]
        values[0] = values[0] + 1000


def snapshot_folder(cache: Path) -> Path:
    """Where snapshots are kept between test sessions, while neither model nor code changes."""
    code = code_digest(name for name in SNAPSHOT_MODULES if not name.startswith("scripts/"))
    folder = cache / f"{importlib.metadata.version('policyengine-us')}-{code[:16]}"
    folder.mkdir(exist_ok=True)
    return folder


def prepare_snapshots(folder: Path, sources: Mapping[str, Path]) -> None:
    """Prepare the snapshot of each source that the cache does not have, with one import of the model.

    Where the model is loaded already, it serves; elsewhere a process of its own loads it.

    Args:
        folder: the cache.
        sources: by name; those whose name begins with ``coded`` have weights and places of their own.
    """
    wanted = {}
    for name, path in sources.items():
        kept = folder / sha256(path.read_bytes()).hexdigest()
        if not kept.exists():
            wanted[str(path)] = [name.startswith("coded"), str(kept)]
    if wanted and "policyengine_us" in sys.modules:
        keep_snapshots(wanted)
    elif wanted:
        code = "import json, sys, small_project; small_project.keep_snapshots(json.loads(sys.argv[1]))"
        path = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "tests/support")])
        command = [sys.executable, "-c", code, json.dumps(wanted)]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)


def keep_snapshots(wanted: Mapping[str, tuple[bool, str]]) -> None:
    """Prepare sources: path → whether its places are its own, and where its snapshot is kept."""
    rules = load_variable_rules(ROOT / "config/variables.yaml")
    for path, (own, kept) in wanted.items():
        source = read_source(Path(path))
        made = own_snapshot(source, rules) if own else prepare_snapshot(source, rules, load_programmes())
        write_arrays(Path(kept), made)
