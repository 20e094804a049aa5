"""A run starts hundreds of area jobs: what one imports is most of what it costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from plain_model import snapshot_without_model
from tiny_world import World

from local_h5.contracts.results import sidecar_path
from local_h5.files.arrays import write_arrays
from local_h5.inputs.geography.blocks import build_block_table
from local_h5.inputs.geography.canonical import Geography
from local_h5.inputs.geography.tables import BlockTableFiles
from local_h5.inputs.source import read_source
from local_h5.prepared.clones import CloneIndex
from local_h5.prepared.steps import load_variable_rules, takeup_from_snapshot
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.takeup.programmes import load_programmes

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "build_area.py"

RUN = """
import json, runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
print(json.dumps(sorted(sys.modules)))
"""


def prepare(folder: Path) -> dict[str, Path]:
    """The prepared files of a tiny source, and the order of a district."""
    world = World(folder)
    given = world.write()
    source = read_source(world.source)
    geography = Geography.from_arrays(**vars(world.geography))
    blocks = build_block_table(
        geography,
        BlockTableFiles(
            world.tables / "block_cd_distributions.csv.gz",
            world.tables / "block_crosswalk.csv.gz",
            world.tables / "msa_definitions.csv",
        ),
    )
    programmes = load_programmes()
    snapshot = snapshot_without_model(source, load_variable_rules(ROOT / "config" / "variables.yaml"), programmes)
    files = {name: folder / f"{name}.h5" for name in ("snapshot", "blocks", "clones", "takeup")}
    write_arrays(files["snapshot"], snapshot)
    write_arrays(files["blocks"], blocks)
    write_arrays(files["clones"], CloneIndex.build(given["weights"], geography, blocks))
    write_arrays(files["takeup"], takeup_from_snapshot(snapshot, geography, programmes))
    request = AreaBuildRequest("district", "NC-01", "NC-01", (AreaFilter("district", "eq", ("3701",)),))
    files["request"] = folder / "request.json"
    fingerprint = {"digest": "0" * 64, "components": {}}
    files["request"].write_text(json.dumps({"request": request.to_json(), "fingerprint": fingerprint}))
    files["config"] = folder / "config.json"
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["areas"]["districts"] = str(ROOT / "config" / "districts_119.csv")
    files["config"].write_text(json.dumps(config))
    return files


@pytest.mark.parametrize("form", ["periods", "tables"])
def test_an_area_job_imports_neither_the_model_nor_frames(tmp_path: Path, form: str) -> None:
    inputs = [f"--{name}={path}" for name, path in prepare(tmp_path).items()]
    h5 = tmp_path / "out" / "districts" / "NC-01.h5"
    outputs = [f"--output={h5}", f"--record={tmp_path / 'record.json'}", f"--form={form}"]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(SCRIPT), *inputs, *outputs], capture_output=True, text=True, check=True
    )
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    imported = {name.partition(".")[0] for name in modules}
    assert sidecar_path(h5).is_file()
    assert {"numpy", "h5py"} <= imported
    assert not {"policyengine_us", "policyengine_core", "pandas", "tables", "pyarrow", "scipy"} & imported
    assert not {"yaml", "jsonschema", "typing_extensions"} & imported
    assert ("local_h5.inputs.entity_tables" in modules) == (form == "tables")
    assert modules & {"numpy.ma", "difflib", "secrets"} == set()  # whatever uses them does so for errors alone
