"""The plain way to build an area's file, as a yardstick for ``area_job.py``: loops, dicts of lists, h5py.

    python benchmarks/loop_baseline.py --inputs FOLDER --tables results/downloads --districts 3701 --output out.h5

Reads the raw inputs (weights, geography, source, block tables), walks over the household clones of some districts,
appends every value to a list per variable, and makes one random generator per household clone and programme. It does
less than the area job: take-up is drawn with plain rates (no reports, no eligibility, one rate for voluntary filing),
counties have no names, and there is no check and no sidecar. What both write is equal; ``area_job.py`` checks that.
"""

import argparse
import csv
import gzip
from collections import defaultdict
from pathlib import Path

import h5py
import numpy as np
import yaml

from local_h5.us import STATE_FIPS

ROOT = Path(__file__).resolve().parents[1]
YEAR = "2024"
UNITS = ("tax_unit", "spm_unit", "family", "marital_unit")
CROSSWALK = ("sldu", "sldl", "place_fips", "vtd", "puma", "zcta")
MONTHLY = ("receives_wic",)
REWRITTEN = {"county_fips", "state_fips", "household_weight"}
MASK = (1 << 64) - 1
VOLUNTARY_FILING_RATE = 0.05


def seed_of(key: str) -> int:
    x = 0
    for byte in key.encode():
        x = (31 * x + byte) & MASK
    x ^= x >> 33
    x = (x * 0xFF51AFD7ED558CCD) & MASK
    x ^= x >> 33
    return x & ((1 << 63) - 1)


def read_programmes() -> dict[str, tuple[str, float | dict[int, float]]]:
    """Take-up variable → entity and rate, or rate by state."""
    programmes = {}
    folder = ROOT / "config" / "takeup"
    for variable, file in yaml.safe_load((folder / "programmes.yaml").read_text())["programmes"].items():
        content = yaml.safe_load((folder / file).read_text())
        rate = content["rate"]
        if "constant" in rate:
            value = [r for date, r in sorted(rate["constant"].items(), key=str) if str(date)[:4] <= YEAR][-1]
        elif "by_state" in rate:
            value = {STATE_FIPS[postal]: share for postal, share in rate["by_state"].items()}
        else:
            value = VOLUNTARY_FILING_RATE
        programmes[variable] = (content["entity"], value)
    return programmes


def read_source(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Columns that are written, by variable, and their entity (found by length)."""
    left_out = set(yaml.safe_load((ROOT / "config" / "variables.yaml").read_text())["calculated"]) | REWRITTEN
    with h5py.File(path, "r") as file:
        columns = {name: file[name][YEAR][:] for name in file if name not in left_out}
    length = {len(columns[f"{entity}_id"]): entity for entity in ("household", "person", *UNITS)}
    return columns, {name: length[len(values)] for name, values in columns.items()}


def rows_by_household(columns: dict[str, np.ndarray]) -> dict[str, dict[int, list[int]]]:
    """Entity → household id → its rows, in source order."""
    rows: dict[str, dict[int, list[int]]] = {"person": defaultdict(list), **{unit: defaultdict(list) for unit in UNITS}}
    row_of = {unit: {unit_id: row for row, unit_id in enumerate(columns[f"{unit}_id"])} for unit in UNITS}
    for row, household in enumerate(columns["person_household_id"]):
        rows["person"][household].append(row)
        for unit in UNITS:
            unit_row = row_of[unit][columns[f"person_{unit}_id"][row]]
            if unit_row not in rows[unit][household]:
                rows[unit][household].append(unit_row)
    for unit in UNITS:
        for found in rows[unit].values():
            found.sort()
    return rows


def read_crosswalk(path: Path, wanted: set[str]) -> dict[str, list[str]]:
    with gzip.open(path, "rt") as stream:
        reader = csv.reader(stream)
        next(reader)
        return {row[0]: row[1:] for row in reader if row[0] in wanted}


def build(inputs: Path, weights_file: str, tables: Path, districts: set[str]) -> dict[str, np.ndarray]:
    """Variable → values."""
    weights = np.load(inputs / weights_file)
    with np.load(inputs / "geography_assignment.npz") as geography:
        block, district = geography["block_geoid"], geography["cd_geoid"]
        n_households = int(geography["n_records"])
    columns, entity_of = read_source(inputs / "source.h5")
    rows = rows_by_household(columns)
    programmes = read_programmes()
    active = [row for row in np.flatnonzero(weights > 0) if normal(district[row]) in districts]
    crosswalk = read_crosswalk(tables / "block_crosswalk.csv.gz", {str(block[row]) for row in active})
    with (tables / "msa_definitions.csv").open(newline="") as stream:
        cbsa = {row["stcofips"]: row["CBSA Code"] for row in csv.DictReader(stream)}

    out: dict[str, list] = defaultdict(list)
    entities = ("household", "person", *UNITS)
    n_rows = {entity: len(columns[f"{entity}_id"]) for entity in entities}
    made = {f"{entity}_id" for entity in entities} | {f"person_{entity}_id" for entity in entities} | set(programmes)
    copied = defaultdict(list)
    for name, entity in entity_of.items():
        if name not in made:
            copied[entity].append(name)
    for row in active:
        clone, source_row = divmod(int(row), n_households)
        household = columns["household_id"][source_row]
        geoid = str(block[row])
        household_id = 1 + clone * n_rows["household"] + source_row
        out["household_id"].append(household_id)
        out["household_weight"].append(weights[row])
        out["block_geoid"].append(geoid)
        out["tract_geoid"].append(geoid[:11])
        out["county_fips"].append(geoid[:5])
        out["state_fips"].append(int(geoid[:2]))
        out["congressional_district_geoid"].append(int(normal(district[row])))
        out["cbsa_code"].append(cbsa.get(geoid[:5], ""))
        for name, value in zip(CROSSWALK, crosswalk.get(geoid, [""] * len(CROSSWALK)), strict=True):
            out[name].append(value)
        for name in copied["household"]:
            out[name].append(columns[name][source_row])
        for entity in ("person", *UNITS):
            new_id = {}
            for unit_row in rows[entity][household]:
                new_id[unit_row] = 1 + clone * n_rows[entity] + unit_row
                out[f"{entity}_id"].append(new_id[unit_row])
                for name in copied[entity]:
                    out[name].append(columns[name][unit_row])
            if entity != "person":
                id_row = {columns[f"{entity}_id"][unit_row]: new for unit_row, new in new_id.items()}
                for person in rows["person"][household]:
                    out[f"person_{entity}_id"].append(id_row[columns[f"person_{entity}_id"][person]])
        out["person_household_id"] += [household_id] * len(rows["person"][household])
        for variable, (entity, rate) in programmes.items():
            generator = np.random.default_rng(seed_of(f"{variable}:{household}:{clone}"))
            share = rate[int(geoid[:2])] if isinstance(rate, dict) else rate
            for _ in rows[entity][household]:
                out[variable].append(generator.random() < share)
    dtypes = {name: columns[name].dtype for names in copied.values() for name in names}
    dtypes["household_weight"] = np.dtype(np.float32)
    return {name: np.array(values, dtype=dtypes.get(name)) for name, values in out.items()}


def normal(code: str) -> str:
    """District code with at-large seats as number 1."""
    return f"{code[:2]}01" if code[2:] in ("00", "98") else str(code)


def write(path: Path, columns: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            array = values.astype("S") if values.dtype.kind == "U" else values
            periods = [f"{YEAR}-{month:02d}" for month in range(1, 13)] if name in MONTHLY else [YEAR]
            for period in periods:
                file.create_dataset(f"{name}/{period}", data=array)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=Path, required=True, help="folder of production_input.py")
    parser.add_argument("--weights", default="weights_3.npy", help="file in that folder")
    parser.add_argument("--tables", type=Path, required=True, help="block tables")
    parser.add_argument("--districts", nargs="+", required=True, help="four-digit codes")
    parser.add_argument("--output", type=Path, required=True, help="H5 to write")
    args = parser.parse_args()
    write(args.output, build(args.inputs, args.weights, args.tables, set(args.districts)))


if __name__ == "__main__":
    main()
