"""A production-size input from a fixed seed: 12,000 households x 430 clones, about 190 variables, 436 districts.

    python benchmarks/production_input.py --folder .cache/benchmark

Households are drawn, with replacement, from the small source that lies with the tests, so that variables, dtypes and
household composition are those of a real period-grouped H5, and the model can load the result. Every household clone
gets a block from the real block table by population; a block's district is the table's. Weights come as three vectors:
3 % positive, 60 % positive, and one for a nation with weights of its own. The downloads of an example run are needed
(``results/downloads``).

The source snapshot is written here too, from the same arrays, so that a benchmark need not import the model: what the
model would compute (ages of heads, incomes, counties' names, income limits) is replaced by plausible values of the same
shape and dtype. ``scripts/prepare_snapshot.py`` makes the real one from the same source.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

from local_h5.areas import read_districts
from local_h5.build.payload import digits
from local_h5.contracts.results import Excluded
from local_h5.files.arrays import write_arrays
from local_h5.files.atomic import sha256_of
from local_h5.inputs.geography.codes import normalise_districts
from local_h5.inputs.membership import HOUSEHOLD, PERSON, Membership, join_on_ids, reindex, rows_with
from local_h5.inputs.source import ENTITIES, STRUCTURAL, read_source
from local_h5.prepared.model import MEDICAID_COST
from local_h5.prepared.places import GEOGRAPHIC
from local_h5.prepared.snapshot import IncomeLimits, SourceColumn, SourceSnapshot, StateValues, sealed
from local_h5_example.package import read_block_shares

ROOT = Path(__file__).resolve().parents[1]
PATTERN = ROOT / "tests" / "data" / "golden" / "dataset.h5"
YEAR = "2024"
MONTHLY = ("receives_wic",)
"""Variables that the model holds by month."""

N_HOUSEHOLDS = 12_000
N_CLONES = 430
N_ACTIVE = {"3": 154_748, "60": 3_096_000, "national": 102_800, "coded": 500_000}
"""Weights vector → household clones with a positive weight, of 5,160,000; of fewer in proportion."""
SEED = 20240701


@dataclass(frozen=True)
class Source:
    """Columns of a source: variable → values; and the entity of each."""

    columns: dict[str, np.ndarray]
    entity: dict[str, str]
    membership: Membership


def draw_source(pattern: Path, n_households: int, random: np.random.Generator) -> Source:
    """Households of ``pattern`` drawn with replacement; ids and links are new."""
    original = read_source(pattern)
    chosen = np.sort(random.integers(len(original.ids[HOUSEHOLD]), size=n_households))
    drawn = reindex(original.membership, chosen, np.arange(n_households) - np.searchsorted(chosen, chosen))
    length = {len(ids): entity for entity, ids in original.ids.items()}
    columns, entity_of = {}, {}
    with h5py.File(pattern) as file:
        stored = {name: file[name][YEAR][()] for name in sorted(original.periods)}
    for name, values in stored.items():
        entity_of[name] = length[len(values)]
        taken = values[drawn.rows[entity_of[name]].source_row]
        columns[name] = taken.astype("S") if taken.dtype.kind in "OU" else taken
    ids = {entity: np.arange(1, drawn.n_rows(entity) + 1, dtype=np.int32) for entity in ENTITIES}
    links = {
        entity: (rows_with(drawn.ids(entity), drawn.links(entity)) + 1).astype(np.int32)
        for entity in ENTITIES
        if entity != PERSON
    }
    columns |= {f"{entity}_id": values for entity, values in ids.items()}
    columns |= {f"person_{entity}_id": values for entity, values in links.items()}
    return Source(columns, entity_of, join_on_ids("drawn source", ids=ids, person_links=links))


def write_source(path: Path, source: Source) -> None:
    """A period-grouped H5."""
    with h5py.File(path, "w") as file:
        for name in sorted(source.columns):
            file.create_dataset(f"{name}/{YEAR}", data=source.columns[name])


def snapshot_without_model(source: Source, path: Path, counties: np.ndarray, random: np.random.Generator):
    """What ``prepare_snapshot`` would make of the source, with stand-ins for what the model computes."""
    calculated = set(yaml.safe_load((ROOT / "config" / "variables.yaml").read_text(encoding="utf-8"))["calculated"])
    weights = {f"{entity}_weight" for entity in ENTITIES}
    left_out = sorted(source.columns.keys() & (calculated | GEOGRAPHIC))
    rows: dict[str, list[np.ndarray]] = {}
    columns, vocabularies = [], {}
    for name in sorted(source.columns.keys() - STRUCTURAL - weights - set(left_out)):
        values, entity = source.columns[name], source.entity[name]
        coded = values.dtype.kind == "S"
        if coded:
            vocabularies[name], values = np.unique(values, return_inverse=True)
            values = values.astype(np.int16)
        matrix = rows.setdefault(f"{entity}/{values.dtype.name}", [])
        periods = [f"{YEAR}-{month:02d}" for month in range(1, 13)] if name in MONTHLY else [YEAR]
        columns += [
            SourceColumn(name, entity, period, f"{entity}/{values.dtype.name}", len(matrix), coded)
            for period in periods
        ]
        matrix.append(values)
    size = {entity: len(source.columns[f"{entity}_id"]) for entity in ENTITIES}
    spm = {name: source.columns[name] for name in ("receives_housing_assistance", "spm_unit_tenure_type")}
    age, tax_unit = source.columns["age"], source.membership.person_unit["tax_unit"]
    age_head = np.zeros(size["tax_unit"], np.int32)
    np.maximum.at(age_head, tax_unit, age.astype(np.int32))
    persons = ("employment_income", "has_medicaid_health_coverage_at_interview",
               "reported_has_subsidized_marketplace_health_coverage_at_interview")  # fmt: skip
    limit = random.uniform(30e3, 60e3, (len(counties), 1)) * np.linspace(1.0, 1.9, 8)
    snapshot = SourceSnapshot(
        year=int(YEAR),
        n_rows=size,
        membership=source.membership,
        columns=tuple(columns),
        matrices={name: np.stack(values) for name, values in rows.items()},
        vocabularies=vocabularies,
        excluded=tuple(Excluded(name, "left out") for name in left_out),
        household_id=source.columns["household_id"].astype(np.int64),
        values={
            **spm,
            **{name: source.columns[name] for name in persons},
            "age_head": age_head,
            "tax_unit_child_dependents": np.bincount(tax_unit, age < 18, size["tax_unit"]).astype(np.int32),
            "hud_annual_income": source.columns["spm_unit_total_income_reported"],
            "spm_unit_size": np.bincount(source.membership.person_unit["spm_unit"]).astype(np.int32),
        },
        county_fips=counties,
        county_name=np.char.add(b"COUNTY_", digits(counties, 5)).astype("S36"),
        income_limits=IncomeLimits(counties, limit),
        versions={"policyengine-us": "none", "policyengine-core": "none"},
        notes={"purpose": "benchmark; resampled households, drawn blocks"},
        source_sha256=sha256_of(path),
        source_bytes=path.stat().st_size,
        reflecting=(),
        state_values=(StateValues(MEDICAID_COST, np.full(100, 8_000, np.float32)),),
    )
    return sealed(snapshot)


def draw_geography(downloads: Path, n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Block and district code of every household clone: real blocks, by population."""
    blocks = read_block_shares(downloads / "block_cd_distributions.csv.gz")
    population = {d.code: d.population for d in read_districts(ROOT / "config" / "districts_119.csv")}
    codes, place = np.unique(blocks.normalised(), return_inverse=True)
    ends = np.cumsum(blocks.share * np.array([population[code] for code in codes.tolist()])[place])
    drawn = np.searchsorted(ends, random.random(n_rows) * ends[-1], side="right")
    return blocks.block[drawn], blocks.district[drawn]


def draw_weights(persons: np.ndarray, district: np.ndarray, n_active: int, random: np.random.Generator) -> np.ndarray:
    """Exactly ``n_active`` positive weights, spread as weights of a calibration are; every district has its population.

    Args:
        persons: (n_rows,), of every household clone.
        district: (n_rows,), normalised code.
        n_active: how many.
        random: the generator.
    """
    weights = np.zeros(len(persons))
    weights[random.choice(len(persons), n_active, replace=False)] = random.lognormal(0.0, 1.0, n_active)
    population = {d.code: d.population for d in read_districts(ROOT / "config" / "districts_119.csv")}
    codes, place = np.unique(district, return_inverse=True)
    drawn = np.bincount(place, weights * persons)
    return weights * (np.array([population[code] for code in codes.tolist()]) / drawn)[place]


def make_input(
    folder: Path, downloads: Path, n_households: int = N_HOUSEHOLDS, n_clones: int = N_CLONES, only: str | None = None
) -> None:
    """Write source, snapshot, geography and weights; equal seeds give equal arrays.

    Args:
        folder: to write into.
        downloads: block tables.
        n_households: of the source.
        n_clones: of each household.
        only: the one weights vector to write, by its name; None writes all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(SEED)
    source = draw_source(PATTERN, n_households, random)
    write_source(folder / "source.h5", source)
    n_rows = n_households * n_clones
    block, district = draw_geography(downloads, n_rows, random)
    counties = np.unique(block // 10**10).astype(np.int32)
    snapshot = snapshot_without_model(source, folder / "source.h5", counties, random)
    write_arrays(folder / "source_snapshot.h5", snapshot)
    np.savez(
        folder / "geography_assignment.npz",
        block_geoid=digits(block, 15).astype("U15"),
        cd_geoid=digits(district, 4).astype("U4"),
        county_fips=digits(block // 10**10, 5).astype("U5"),
        state_fips=block // 10**13,
        n_records=n_households,
        n_clones=n_clones,
    )
    persons = np.tile(np.diff(source.membership.members[PERSON].indptr), n_clones)
    code = normalise_districts(district)
    active = {name: count * n_rows // (N_HOUSEHOLDS * N_CLONES) for name, count in N_ACTIVE.items()}
    for number, (name, n_active) in enumerate(active.items()):
        if only in (None, name):
            weights = draw_weights(persons, code, n_active, np.random.default_rng([SEED, number]))
            np.save(folder / f"weights_{name}.npy", weights)
    sizes = {entity: len(source.columns[f"{entity}_id"]) for entity in ENTITIES}
    facts = {"seed": SEED, "clones": n_clones, "rows": sizes, "variables": len(source.columns), "active": active}
    (folder / "input.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "benchmark", help="where to write (2 GB)")
    parser.add_argument("--downloads", type=Path, default=ROOT / "results" / "downloads", help="block tables")
    parser.add_argument("--households", type=int, default=N_HOUSEHOLDS)
    parser.add_argument("--clones", type=int, default=N_CLONES)
    parser.add_argument("--only", choices=list(N_ACTIVE), help="the one weights vector to write")
    args = parser.parse_args()
    make_input(args.folder, args.downloads, args.households, args.clones, args.only)


if __name__ == "__main__":
    main()
