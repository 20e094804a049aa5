"""At-large seats: one form inside, what the configuration says in the files, and every spelling accepted."""

import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_model import snapshot_without_model
from random_world import BLOCKS, random_assignment, random_columns, random_weights, write_random_tables
from tiny_world import World, write_source
from validation_world import ROOT, Run, make_run

import local_h5
from local_h5 import facade, us
from local_h5.areas import read_districts
from local_h5.build.area import BuildOptions, build_area
from local_h5.config.settings import Settings
from local_h5.contracts.results import AreaResult, read_sidecar, sidecar_path
from local_h5.errors import ConfigError, LocalH5Error, RequestError
from local_h5.inputs.geography.codes import at_large, normalise_districts, written_districts
from local_h5.requests import AreaBuildRequest, AreaFilter
from local_h5.runs.fingerprint import Fingerprints
from local_h5.validation.structural.common_schema import common_schema
from local_h5.validation.structural.verdict import StructuralPolicy, validate_structure

DISTRICTS = read_districts(ROOT / "config/districts_119.csv")
SEATS = ("AK", "DC", "DE", "ND", "SD", "VT", "WY")
COLUMN = "congressional_district_geoid/2024"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Alaska and DC as 200 and 1198 in the geography; North Carolina and Los Angeles besides."""
    return make_run(tmp_path_factory.mktemp("at_large"))


# --- which codes


def test_seats_are_those_of_the_states_with_one_district() -> None:
    seats = Counter(district.state for district in DISTRICTS)
    assert {state for state, count in seats.items() if count == 1} == us.AT_LARGE_STATES == set(SEATS)
    codes = np.array([district.code for district in DISTRICTS])
    assert [us.district_name(code) for code in codes[at_large(codes)].tolist()] == sorted(
        (f"{state}-01" for state in SEATS), key=lambda name: us.STATE_FIPS[name[:2]]
    )


def test_the_436_codes_are_those_that_policyengine_looks_for() -> None:
    """Its registry: state FIPS and two digits, 00 where a state has one district; the files' names have 01."""
    seats = Counter(district.state for district in DISTRICTS)
    registry = [
        int(f"{us.STATE_FIPS[d.state]}{'00' if seats[d.state] == 1 else d.name[3:]}") for d in DISTRICTS
    ]  # fmt: skip
    assert len(set(registry)) == 436
    codes = np.array([district.code for district in DISTRICTS])
    assert written_districts(codes, "00").tolist() == registry
    assert written_districts(codes, "01").tolist() == codes.tolist()
    assert [district.name for district in DISTRICTS] == [us.district_name(code) for code in codes.tolist()]


@given(
    st.lists(st.tuples(st.sampled_from(sorted(us.STATE_POSTAL)), st.integers(0, 99))),
    st.sampled_from(["00", "01"]),
)
def test_what_is_written_is_read_as_the_same_seat(pairs: list[tuple[int, int]], code: us.AtLargeCode) -> None:
    given_codes = np.array([100 * state + number for state, number in pairs], dtype=np.int64)
    seats = normalise_districts(given_codes)
    written = written_districts(seats, code)
    assert written.dtype == np.int32
    assert normalise_districts(written).tolist() == seats.tolist()
    expected = [
        100 * state + int(code) if us.STATE_POSTAL[state] in SEATS and number in (0, 1, 98) else seat
        for (state, number), seat in zip(pairs, seats.tolist(), strict=True)
    ]
    assert written.tolist() == expected


def test_own_codes_are_written_where_there_are_some() -> None:
    seats = np.array([201, 1101, 3701, 3712])
    assert written_districts(seats, {201: 200, 1101: 1198, 3701: 3701}).tolist() == [200, 1198, 3701, 3712]
    assert written_districts(seats, {}).tolist() == seats.tolist()


# --- files


def built(run: Run, folder: Path, area_id: str, options: BuildOptions) -> tuple[AreaResult, list[int]]:
    result = build_area(run.request(area_id), run.inputs, folder, options=options)
    with h5py.File(folder / result.output.path) as file:
        return result, sorted(set(file[COLUMN][()].tolist()))


@pytest.mark.parametrize(
    ("code", "nation"), [("00", [200, 634, 1100, 3701, 3712]), ("01", [201, 634, 1101, 3701, 3712])]
)
def test_files_have_the_code_and_their_sidecars_say_so(
    run: Run, tmp_path: Path, code: us.AtLargeCode, nation: list[int]
) -> None:
    options = BuildOptions(district_codes=code)
    for area, expected in {"AK": nation[:1], "AK-01": nation[:1], "DC-01": [nation[2]], "US": nation}.items():
        result, codes = built(run, tmp_path, area, options)
        assert (codes, result.at_large_code) == (expected, code)
        assert AreaResult.from_json(result.to_json()) == result
        assert result.to_json()["at_large_code"] == code
    result, codes = built(run, tmp_path, "NC", options)
    assert codes == [3701, 3712]
    assert "at_large_code" not in result.to_json()
    assert sorted(path.name for path in tmp_path.glob("districts/*.h5")) == ["AK-01.h5", "DC-01.h5"]


def test_files_without_such_a_seat_are_the_same_with_both_codes(run: Run, tmp_path: Path) -> None:
    made = {code: built(run, tmp_path / code, "NC", BuildOptions(district_codes=code))[0] for code in ("00", "01")}
    assert made["00"] == made["01"]


def test_the_default_is_the_code_of_policyengine(run: Run, tmp_path: Path) -> None:
    assert built(run, tmp_path, "AK", BuildOptions())[1] == [200]
    assert run.settings.config.areas.at_large_code == "00"


def test_sidecars_of_before_stay_readable(run: Run, tmp_path: Path) -> None:
    result, _ = built(run, tmp_path, "AK", BuildOptions())
    data = result.to_json()
    del data["at_large_code"]
    assert "at_large_code" not in AreaResult.from_json(data).to_json()
    with pytest.raises(LocalH5Error, match=r"at_large_code: expected one of 00, 01, as given, found '98'"):
        AreaResult.from_json(data | {"at_large_code": "98"})


# --- every spelling in filters and lists


@pytest.mark.parametrize("codes", [("200",), ("0200",), ("201",), ("0201",), ("298",), ("0200", "0201")])
def test_a_filter_takes_every_spelling(run: Run, tmp_path: Path, codes: tuple[str, ...]) -> None:
    request = AreaBuildRequest("custom", "north", "North", (AreaFilter("district", "in", codes),))
    found = build_area(request, run.inputs, tmp_path)
    assert found.output.sha256 == build_area(run.request("AK-01"), run.inputs, tmp_path).output.sha256


@pytest.mark.parametrize("code", ["1100", "1101", "1198"])
def test_the_delegate_of_dc_has_three_spellings(run: Run, tmp_path: Path, code: str) -> None:
    request = AreaBuildRequest("custom", "dc", "DC", (AreaFilter("district", "eq", (code,)),))
    options = BuildOptions(district_codes="01")
    found = build_area(request, run.inputs, tmp_path, options=options)
    assert found.output.sha256 == build_area(run.request("DC"), run.inputs, tmp_path, options=options).output.sha256


LIST = "district,code,state,state_fips,population_2024\n"


@pytest.mark.parametrize(
    "rows", [("AK-01,200", "DC-01,1198"), ("AK-01,0200", "DC-01,1100"), ("AK-01,201", "DC-01,1101")]
)
def test_a_table_of_districts_takes_every_spelling(tmp_path: Path, rows: tuple[str, ...]) -> None:
    path = tmp_path / "districts.csv"
    path.write_text(LIST + "".join(f"{row},{row[:2]},0,700000\n" for row in (*rows, "NC-01,3701")))
    assert [(district.name, district.code) for district in read_districts(path)] == [
        ("AK-01", 201), ("DC-01", 1101), ("NC-01", 3701),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ("NC-01,3700,NC",),
            "line 2: expected the number of a district, because NC has more than one seat, found 3700",
        ),
        (
            ("MT-01,3098,MT",),
            "line 2: expected the number of a district, because MT has more than one seat, found 3098",
        ),
        (("AK-01,200,AK", "AK-02,201,AK"), "line 3: expected every district once, found 201, which line 2 has"),
        (("AK-01,300,AK",), "line 2: expected a code of AK, found 300"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path, rows: tuple[str, ...], said: str) -> None:
    path = tmp_path / "districts.csv"
    path.write_text(LIST + "".join(f"{row},0,700000\n" for row in rows))
    with pytest.raises(ConfigError) as caught:
        read_districts(path)
    assert said in str(caught.value)


# --- configuration


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, 'expected one of "00", "01", found 0 (int). Put texts in quotes'),  # 00 without quotes
        (1, 'expected one of "00", "01", found 1 (int). Put texts in quotes'),
        (200, 'expected one of "00", "01", found 200 (int). Put texts in quotes'),
        ("0", "expected one of 00, 01, found '0'"),
        ("98", "expected one of 00, 01, found '98'"),
        (None, 'expected one of "00", "01", found None'),
    ],
)
def test_another_value_is_refused_in_one_line(run: Run, value: object, said: str) -> None:
    config = {**run.config, "areas": {**run.config["areas"], "at_large_code": value}}
    with pytest.raises(ConfigError) as caught:
        Settings.load(config, "my.yaml")
    assert str(caught.value).startswith("my.yaml: areas.at_large_code: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", ["00", "01"])
def test_on_the_command_line_it_needs_no_quotes(run: Run, code: str) -> None:
    """Snakemake reads values inside sections as text."""
    settings = Settings.load(run.config, "my.yaml", {"areas": {"at_large_code": code}})
    assert settings.config.areas.at_large_code == code


# --- fingerprints and checks


def test_another_code_concerns_the_areas_with_such_seats(run: Run) -> None:
    components = {}
    for code in ("00", "01"):
        made = Fingerprints(run.inputs, BuildOptions(district_codes=code))
        requests = [request for request in run.settings.requests if request.area_id != "NYC"]
        components[code] = {request.area_id: made.of(request) for request in requests}
    differing = {area: found.differences(components["01"][area].components) for area, found in components["00"].items()}
    with_seats = {"US", "AK", "AK-01", "DC", "DC-01"}
    assert differing == {area: ["at_large_code"] if area in with_seats else [] for area in differing}
    assert with_seats < differing.keys()


@pytest.mark.parametrize(
    ("stored", "said", "passes"),
    [
        (200, "00", True),
        (201, "01", True),
        (201, "00", False),
        (200, "01", False),
        (298, "00", False),
        (298, "as given", True),
        (200, None, False),
        (201, None, False),
    ],
)
def test_file_and_sidecar_must_agree(run: Run, tmp_path: Path, stored: int, said: str | None, passes: bool) -> None:
    path = tmp_path / run.path("AK-01").relative_to(run.settings.results)
    shutil.copytree(run.path("AK-01").parent, path.parent)
    data = read_sidecar(sidecar_path(path)).to_json()
    data.pop("at_large_code")
    result = AreaResult.from_json(data | ({} if said is None else {"at_large_code": said}))
    with h5py.File(path, "r+") as file:
        file[COLUMN][()] = stored
    _, record = validate_structure(
        path, result, common_schema(run.inputs), StructuralPolicy.from_config(run.settings.config.structural)
    )
    assert [finding.check for finding in record.findings] == ([] if passes else ["geography"])


# --- build_h5


def facade_codes(world: World, monkeypatch: pytest.MonkeyPatch, **options: object) -> tuple[set[int], object]:
    monkeypatch.setattr(facade, "prepare_snapshot", snapshot_without_model)
    path = local_h5.build_h5(**world.write(), **options)
    with h5py.File(path) as file:
        return set(file[COLUMN][()].tolist()), read_sidecar(sidecar_path(path)).to_json().get("at_large_code")


@pytest.mark.parametrize(
    ("options", "codes", "said"),
    [
        ({}, {200, 634, 1198, 3701, 3712}, "as given"),  # as the geography has them
        ({"at_large_code": None, "cd_subset": ["0201", 1101]}, {201, 1101}, "as given"),
        ({"at_large_code": "00", "cd_subset": ["0201", 1198]}, {200, 1100}, "00"),
        ({"at_large_code": "01", "cd_subset": [200, "1198"]}, {201, 1101}, "01"),
        ({"at_large_code": "01"}, {201, 634, 1101, 3701, 3712}, "01"),
        ({"at_large_code": "01", "cd_subset": ["3701"]}, {3701}, None),
        ({"cd_subset": ["3701"]}, {3701}, None),
    ],
)
def test_build_h5_has_the_same_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], codes: set[int], said: object
) -> None:
    assert facade_codes(World(tmp_path), monkeypatch, **options) == (codes, said)


@pytest.mark.parametrize("value", ["0", 0, "98", True])
def test_build_h5_refuses_another_code(tmp_path: Path, value: object) -> None:
    with pytest.raises(RequestError, match=r"at_large_code: expected one of 00, 01, found .*Correct the argument"):
        local_h5.build_h5(**World(tmp_path).write(), at_large_code=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["00", "01"])
def test_build_h5_writes_what_the_workflow_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: us.AtLargeCode
) -> None:
    """On random inputs that write the seats as 201 and 1101."""
    monkeypatch.setattr(facade, "prepare_snapshot", snapshot_without_model)
    geography = random_assignment(2, 30, 4)
    path = local_h5.build_h5(
        random_weights(3, 120),
        geography,
        write_source(tmp_path / "source.h5", random_columns(1, 30)),
        tmp_path / "area.h5",
        block_tables=write_random_tables(tmp_path / "tables"),
        at_large_code=code,
    )
    with h5py.File(path) as file:
        blocks, written = file["block_geoid/2024"][()].astype(str), file[COLUMN][()]
    assert written.tolist() == written_districts(np.array([BLOCKS[block] for block in blocks]), code).tolist()
