"""Every bad input of the facade is one line of our own, before the model is needed, and leaves no file behind."""

import hashlib
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from sentence import parts_of
from spoiled import (
    Case,
    Change,
    Hostile,
    N,
    below_a_file,
    broken_link,
    code,
    column,
    columns,
    damaged,
    damaged_chunk,
    empty_h5,
    flat,
    geography,
    linked,
    nobody_weighs,
    npz,
    option,
    output,
    owner,
    place,
    saved,
    saved_weights,
    sidecar_is_input,
    truncate,
    weights,
    weights_with,
    without,
)
from tiny_world import BLOCKS, HOUSEHOLDS, OWNER, World, write_source

import local_h5
from local_h5 import facade
from local_h5.errors import (
    ConfigError,
    EmptySelectionError,
    InputError,
    LocalH5Error,
    RequestError,
    SourceError,
    WriteError,
)

NC, NC_OTHER, LA = "370010201001000", "371190001001000", "060372011101000"

CASES = [
    # --- weights
    Case("not divisible", weights(np.ones(17)), InputError, "weights", "weights", "17 weights"),
    Case("other clone count", weights(np.ones(12)), InputError, "weights", "weights", "12 (2 clones)"),
    Case("2-D", weights(np.ones((3, 6))), InputError, "weights", "weights", "shape (3, 6)"),
    Case("empty", weights(np.ones(0)), InputError, "weights", "weights", "an empty array"),
    Case("NaN", weights_with(4, np.nan), InputError, "weights", "weights", "nan in row 4"),
    Case("negative", weights_with(5, -1.0), InputError, "weights", "weights", "-1 in row 5"),
    Case("infinite", weights_with(6, np.inf), InputError, "weights", "weights", "inf in row 6"),
    Case("zero in float32", weights_with(6, 1e-50), InputError, "weights", "weights", "1e-50 in row 6"),
    Case("infinite in float32", weights_with(6, 3.5e39), InputError, "weights", "weights", "3.5e+39 in row 6"),
    Case("all zero", weights(np.zeros(N)), InputError, "weights", "weights", "18 zeros"),
    Case("text weights", weights(["1"] * N), InputError, "weights", "weights", "dtype <U1"),
    Case("no weights file", weights("absent.npy"), InputError, "absent.npy", None, "No such file"),
    # --- areas
    Case("unknown district", option(cd_subset=["3799"]), RequestError, "area", "filter.district", "unknown 3799"),
    Case("known and unknown", option(cd_subset=["3701", "5301"]), RequestError, "area", "filter.district", "5301"),
    Case("unknown county", option(county_fips_filter=["99999"]), RequestError, "area", "filter.county", "99999"),
    Case(
        "known and unknown county",
        option(county_fips_filter={"06037", "06001"}),
        RequestError,
        "area",
        "filter.county",
        "unknown 06001",
    ),
    Case("bare district", option(cd_subset="3701"), RequestError, "cd_subset", "filter.district", "'3701'"),
    Case("one integer", option(cd_subset=3701), RequestError, "cd_subset", "filter.district", "3701"),
    Case(
        "bare county",
        option(county_fips_filter="06037"),
        RequestError,
        "county_fips_filter",
        "filter.county",
        "'06037'",
    ),
    Case("friendly name", option(cd_subset=["NC-01"]), RequestError, "cd_subset", "filter.district", "'NC-01'"),
    Case("float code", option(cd_subset=[3701.0]), RequestError, "cd_subset", "filter.district", "3701.0"),
    Case("true as a code", option(cd_subset=[True]), RequestError, "cd_subset", "filter.district", "True"),
    Case("negative code", option(cd_subset=[-201]), RequestError, "cd_subset", "filter.district", "-201"),
    Case("too long a code", option(county_fips_filter=["006037"]), RequestError, "county_fips_filter", None, "006037"),
    Case("state without number", option(cd_subset=["37"]), RequestError, "area", "filter.district", "unknown 0037"),
    Case("no code", option(cd_subset=[]), RequestError, "cd_subset", "filter.district", "an empty list"),
    Case(
        "nobody in both",
        option(cd_subset=["3701"], county_fips_filter=["06037"]),
        EmptySelectionError,
        "custom area",
        "filters",
        "none of 18",
    ),
    Case(
        "nobody with a weight",
        nobody_weighs("634"),
        EmptySelectionError,
        "custom area",
        "filters",
        "none of 15 (district in 0634)",
    ),
    # --- geography: an object
    Case("not a geography", lambda world: setattr(world, "geography", 5), InputError, "geography", None, "a int"),
    Case("missing field", lambda world: delattr(world.geography, "cd_geoid"), InputError, "geography", "cd_geoid", ""),
    Case("short field", geography(cd_geoid=np.array(["3701"] * 17)), InputError, "geography", "cd_geoid", "17"),
    Case("empty field", geography(block_geoid=np.array([], "U15")), InputError, "geography", "block_geoid", "none"),
    Case("two dimensions", geography(cd_geoid=np.full((3, 6), "3701")), InputError, "geography", "cd_geoid", "(3, 6)"),
    Case("other source", geography(n_records=9, n_clones=2), InputError, "geography", "n_records", "9"),
    Case("wrong size", geography(n_clones=4), InputError, "geography", "block_geoid", "18"),
    Case("no clones", geography(n_clones=0), InputError, "geography", "n_clones", "0"),
    Case("empty block", code("block_geoid", 2, ""), InputError, "geography", "block_geoid", "1 of 18 empty"),
    Case("short block", code("block_geoid", 2, "12345"), InputError, "geography", "block_geoid", "'12345' in row 2"),
    Case("garbage block", code("block_geoid", 2, "not a block yet"), InputError, "geography", "block_geoid", "not a"),
    Case("NaN block", code("block_geoid", 2, np.nan), InputError, "geography", "block_geoid", "nan in row 2"),
    Case("nines", code("block_geoid", 2, "9" * 15), InputError, "geography", "block_geoid", "'999999999999999'"),
    Case("no such county", place(2, "370009999991000", "3701"), InputError, "geography", "block_geoid", "3700099999"),
    Case("garbage district", code("cd_geoid", 2, "NC-1"), InputError, "geography", "cd_geoid", "'NC-1' in row 2"),
    Case("no district", code("cd_geoid", 2, ""), InputError, "geography", "cd_geoid", "1 of 18 rows"),
    Case("district elsewhere", place(2, LA, "3701"), InputError, "geography", "cd_geoid", f"block {LA} with 3701"),
    Case("other district", place(2, NC_OTHER, "3701"), InputError, "geography", "cd_geoid", "in 3701 instead of 3712"),
    Case("other county", code("county_fips", 2, "37037"), InputError, "geography", "county_fips", "37037 in row 2"),
    Case("other state", code("state_fips", 2, 6), InputError, "geography", "state_fips", "6 in row 2"),
    # --- geography: a file
    Case("no geography file", saved(lambda world, path: None), InputError, "geography.npz", None, "No such file"),
    Case("npz lacks a field", saved(npz(drop=("county_fips",))), InputError, "geography.npz", "county_fips", ""),
    Case("npz misaligned", saved(npz(state_fips=np.ones(3, int))), InputError, "geography.npz", "state_fips", "3"),
    Case(
        "npz garbage",
        saved(lambda world, path: path.write_bytes(b"PK\x03\x04garbage") and None),
        InputError,
        "geography.npz",
        None,
        "",
    ),
    Case(
        "something else",
        saved(lambda world, path: path.write_text("block_geoid,cd_geoid\n") and None),
        InputError,
        "geography.npz",
        None,
        "begins with",
    ),
    Case(
        "hostile npz",
        saved(npz(block_geoid=np.array([Hostile()] * N, dtype=object))),
        InputError,
        "geography.npz",
        None,
        "system",
    ),
    Case(
        "hostile package",
        saved(lambda world, path: path.write_bytes(pickle.dumps({"block_geoid": Hostile()})) and None, "package.pkl"),
        InputError,
        "package.pkl",
        None,
        "system",
    ),
    Case(
        "blocks of another source",
        saved(lambda world, path: np.save(path, world.geography.block_geoid[:17]), "stacked_blocks.npy"),
        InputError,
        "stacked_blocks.npy",
        "block_geoid",
        "17 rows",
    ),
    Case("no tables", option(block_tables="nowhere"), InputError, "nowhere", "block_tables", "no such file"),
    # --- source
    Case("no source", damaged(Path.unlink), SourceError, "source.h5", None, "no file"),
    Case("truncated", damaged(truncate), SourceError, "source.h5", None, "HDF5 refuses"),
    Case(
        "garbage", damaged(lambda p: p.write_bytes(b"x" * 5000) and None), SourceError, "source.h5", None, "5,000 bytes"
    ),
    Case("empty file", damaged(lambda p: p.write_bytes(b"") and None), SourceError, "source.h5", None, "0 bytes"),
    Case("a folder", option(dataset_path="."), SourceError, ".", None, "no file"),
    Case("no groups", damaged(empty_h5), SourceError, "source.h5", "layout", "no group"),
    Case("flat", damaged(flat), SourceError, "source.h5", "layout", "'person_id'"),
    Case("damaged chunk", damaged(damaged_chunk), SourceError, "source.h5", "person_id/2024", "Can't"),
    Case("other digest", option(dataset_sha256="0" * 64), SourceError, "source.h5", "sha256", ""),
    Case("no id column", without("spm_unit_id"), SourceError, "source.h5", "spm_unit_id", "no such group"),
    Case("no link column", without("person_family_id"), SourceError, "source.h5", "person_family_id", "no such group"),
    Case(
        "short links", column("person_household_id", OWNER[:-1]), SourceError, "source.h5", "person_household_id", "11"
    ),
    Case("text ids", column("household_id", np.array([b"a"] * 6)), SourceError, "source.h5", "household_id", "dtype"),
    Case("no rows", column("person_id", np.array([], int)), SourceError, "source.h5", "person_id", "none"),
    Case(
        "a matrix of ids",
        column("person_id", np.ones((12, 2), int)),
        SourceError,
        "source.h5",
        "person_id/2024",
        "(12, 2)",
    ),
    Case(
        "duplicate id",
        column("household_id", np.array([40, 7, 19, 52, 3, 40])),
        SourceError,
        "source.h5",
        "household_id",
        "40 in rows 0 and 5",
    ),
    Case(
        "NaN id",
        column("household_id", HOUSEHOLDS / [1, 1, 1, 1, 1, np.nan]),
        SourceError,
        "source.h5",
        "household_id",
        "nan",
    ),
    Case("half an id", column("household_id", HOUSEHOLDS + 0.5), SourceError, "source.h5", "household_id", "40.5"),
    Case(
        "dangling link",
        column("person_household_id", owner(3, 41)),
        SourceError,
        "source.h5",
        "person_household_id",
        "41 in row 3",
    ),
    Case(
        "household without persons",
        column("person_household_id", owner(6, 19)),
        SourceError,
        "source.h5",
        "household_id",
        "1 without: 52",
    ),
    Case(
        "shared unit",
        columns(lambda c: c["person_tax_unit_id"]["2024"].__setitem__(2, 400)),
        SourceError,
        "source.h5",
        "person_tax_unit_id",
        "1 shared by two or more: 400",
    ),
    Case(
        "unit without persons",
        columns(lambda c: c["person_marital_unit_id"]["2024"].__setitem__(5, 190)),
        SourceError,
        "source.h5",
        "marital_unit_id",
        "1 without: 191",
    ),
    Case(
        "two periods",
        columns(lambda c: c["age"].update({"2025": c["age"]["2024"]})),
        SourceError,
        "source.h5",
        "period",
        "age has 2025",
    ),
    Case(
        "two periods in a later group",
        columns(lambda c: c["is_female"].update({"2025": c["is_female"]["2024"]})),
        SourceError,
        "source.h5",
        "period",
        "is_female has 2025",
    ),
    Case("other period first", column("age", np.ones(12), "2023"), SourceError, "source.h5", "period", "has 2024"),
    Case("monthly first", column("aaa", np.ones(12), "2024-01"), SourceError, "source.h5", "aaa", "2024-01"),
    Case("eternal first", column("aaa", np.ones(12), "ETERNITY"), SourceError, "source.h5", "aaa", "ETERNITY"),
    Case("no period", column("age", np.ones(12), "now"), SourceError, "source.h5", "age", "'now'"),
    Case("broken link", damaged(broken_link), SourceError, "source.h5", "lost", "KeyError"),
    Case(
        "id beyond int64",
        column("household_id", HOUSEHOLDS.astype(np.uint64) + np.uint64(2**63)),
        SourceError,
        "source.h5",
        "household_id",
        "9,223,372,036,854,775,848",
    ),
    Case(
        "months of ids",
        column("household_id", HOUSEHOLDS, "2024-03"),
        SourceError,
        "source.h5",
        "household_id",
        "2024-03",
    ),
    Case(
        "rule for no column",
        option(missing={"is_male": {"-1": False}}),
        ConfigError,
        "missing",
        "is_male",
        "no such column",
    ),
    Case("rule for ids", option(missing={"person_id": {"-1": 0}}), ConfigError, "missing", "person_id", "an id"),
    Case("no rule", option(missing={"is_female": False}), ConfigError, "missing", "is_female", "False (bool)"),
    Case("no value", option(missing={"is_female": {"-1": None}}), ConfigError, "missing", "is_female.-1", "NoneType"),
    # --- take-up
    Case("unknown programme", option(takeup_filter=["takes_up_tv"]), InputError, "takeup_filter", None, "takes_up_tv"),
    Case(
        "bare programme",
        option(takeup_filter="takes_up_snap_if_eligible"),
        InputError,
        "takeup_filter",
        None,
        "the text",
    ),
    Case("other reports", option(reported="maybe"), RequestError, "reported", None, "'maybe'"),
    Case("other scope", option(scope="file"), RequestError, "scope", None, "'file'"),
    # --- output
    Case("other compression", option(compression="zip"), RequestError, "compression", None, "'zip'"),
    Case("folder is a file", output(below_a_file), WriteError, "area.h5", "folder", "the file"),
    Case("a folder's name", output(lambda world: world.tables), WriteError, "tables", None, "a folder"),
    Case("the source", output(lambda world: world.source), WriteError, "source.h5", None, "the input"),
    Case(
        "a link to the source",
        output(linked(lambda a, b: b.symlink_to(a))),
        WriteError,
        "other_name.h5",
        None,
        "source.h5",
    ),
    Case(
        "its other name", output(linked(lambda a, b: b.hardlink_to(a))), WriteError, "other_name.h5", None, "source.h5"
    ),
    Case("the weights", output(saved_weights), WriteError, "weights.npy", None, "the input"),
    Case(
        "a table",
        output(lambda w: w.tables / "msa_definitions.csv"),
        WriteError,
        "msa_definitions.csv",
        None,
        "the input",
    ),
    Case("sidecar over an input", output(sidecar_is_input), WriteError, "area.h5.result.json", None, "the input"),
]


def files(folder: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    def no_model(*arguments: object) -> None:
        pytest.fail("the model was asked for")

    monkeypatch.setattr(facade, "prepare_snapshot", no_model)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return World(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_line_and_leaves_nothing(world: World, case: Case) -> None:
    case.change(world)
    arguments = world.write()
    before = files(world.folder)
    with pytest.raises(LocalH5Error) as caught:
        local_h5.build_h5(**arguments)
    error = caught.value
    assert type(error) is case.error
    assert case.where in parts_of(error).where
    assert case.field is None or parts_of(error).field.split(" (")[0] == case.field
    assert case.found in parts_of(error).found
    assert "\n" not in str(error)
    assert parts_of(error).remedy, f"does not say what to do: {error}"
    assert files(world.folder) == before


def test_good_input_gets_as_far_as_the_model(world: World) -> None:
    """The table's cases are refused for what is wrong with them: the same arguments untouched are not."""
    with pytest.raises(pytest.fail.Exception, match="the model was asked for"):
        local_h5.build_h5(**world.write())


@pytest.mark.parametrize(
    "change",
    [
        weights(np.arange(1, N + 1)),
        weights(np.arange(1, N + 1).tolist()),
        option(cd_subset=[3701, np.int64(200)]),
        option(cd_subset=["0200", "1101"]),
        option(cd_subset=np.array(["3712", "634"])),
        option(cd_subset=(code for code in ("3712",))),
        option(county_fips_filter={6037, "37001"}),
        option(county_fips_filter=["6037"]),
        geography(cd_geoid=np.array([200, 1198, 3701, 3701, 3712, 634] * 3), block_geoid=np.array(list(BLOCKS) * 3),
                  county_fips=np.array([int(block[:5]) for block in BLOCKS] * 3),
                  state_fips=np.array([f"{block[:2]}" for block in BLOCKS] * 3)),
        option(takeup_filter=[]),
    ],
    ids=["integers", "list", "mixed integers", "padded", "array", "generator", "set", "unpadded", "codes", "no draws"],
)  # fmt: skip
def test_other_spellings_of_good_input_are_accepted(world: World, change: Change) -> None:
    change(world)
    with pytest.raises(pytest.fail.Exception, match="the model was asked for"):
        local_h5.build_h5(**world.write())


def test_unknown_block_of_a_known_county_is_allowed_with_a_warning(world: World) -> None:
    place(2, "370019999991000", "3701")(world)
    arguments = world.write()
    for _ in range(2):
        with (
            pytest.warns(UserWarning, match="1 of 7 distinct blocks are in no block table"),
            pytest.raises(pytest.fail.Exception, match="the model was asked for"),
        ):
            local_h5.build_h5(**arguments)


def test_tables_are_found_through_the_environment_and_the_working_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = world.write() | {"block_tables": None}
    with pytest.raises(InputError, match=r"snakemake .*LOCAL_H5_BLOCK_TABLES") as caught:
        local_h5.build_h5(**arguments)
    assert parts_of(caught.value).where == "results/downloads/block_cd_distributions.csv.gz"
    monkeypatch.setenv("LOCAL_H5_BLOCK_TABLES", str(world.tables))
    with pytest.raises(pytest.fail.Exception, match="the model was asked for"):
        local_h5.build_h5(**arguments)
    monkeypatch.delenv("LOCAL_H5_BLOCK_TABLES")
    (world.folder / "results").mkdir()
    world.tables.rename(world.folder / "results" / "downloads")
    with pytest.raises(pytest.fail.Exception, match="the model was asked for"):
        local_h5.build_h5(**arguments)


def test_source_with_the_right_digest_is_accepted(world: World) -> None:
    arguments = world.write()
    write_source(world.source, world.columns)
    digest = hashlib.sha256(world.source.read_bytes()).hexdigest()
    with pytest.raises(pytest.fail.Exception, match="the model was asked for"):
        local_h5.build_h5(**arguments, dataset_sha256=digest)
