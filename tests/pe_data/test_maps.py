"""Maps of districts: the cartogram, what people write as a district, colours, true shapes, the picture."""

import json
import math
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartogram_layout import ALSO, APART, Board, computed, neighbours, tiles
from hypothesis import given
from hypothesis import strategies as st

import pe_data
from pe_data.errors import InputError
from pe_data.maps.districts import SEATS, all_districts, district_of
from pe_data.maps.draw import CELL, NO_VALUE, cartogram, number
from pe_data.maps.layout import borders, cells
from pe_data.maps.scale import DIVERGING, DIVERGING_DARK, SEQUENTIAL, SEQUENTIAL_DARK, palette, scale_of

SVG = "{http://www.w3.org/2000/svg}"
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))


def by_state() -> dict[str, set[tuple[int, int]]]:
    found: dict[str, set[tuple[int, int]]] = {}
    for district, cell in cells().items():
        found.setdefault(district[:2], set()).add(cell)
    return found


def touch(one: set[tuple[int, int]], other: set[tuple[int, int]]) -> bool:
    return any((x + dx, y + dy) in other for x, y in one for dx, dy in SIDES)


# --- the cartogram ----------------------------------------------------------------------------------------------------


def test_each_district_has_a_cell_of_its_own() -> None:
    assert list(cells()) != []
    assert sorted(cells()) == all_districts()
    assert len(set(cells().values())) == len(all_districts()) == 436


@pytest.mark.parametrize("state", SEATS)
def test_a_state_is_in_one_piece(state: str) -> None:
    own = by_state()[state]
    reached, waiting = set(), [min(own)]
    while waiting:
        x, y = waiting.pop()
        reached.add((x, y))
        waiting += [there for dx, dy in SIDES if (there := (x + dx, y + dy)) in own - reached]
    assert reached == own


@pytest.mark.parametrize("pair", sorted(neighbours() | ALSO.keys()))
def test_neighbours_in_the_grid_are_beside_each_other(pair: tuple[str, str]) -> None:
    states = by_state()
    one, other = pair
    assert touch(states[one], states[other])
    if pair in neighbours():
        (x, y), (x2, y2) = tiles()[one], tiles()[other]
        first, second = (np.mean(list(states[name]), axis=0) for name in pair)
        assert (second - first) @ (x2 - x, y2 - y) > 0  # and on the same side


def test_the_grid_has_all_states() -> None:
    assert tiles().keys() == SEATS.keys()
    assert len(set(tiles().values())) == 51
    assert len(neighbours()) > 70


@pytest.mark.parametrize("state", APART)
def test_alaska_and_hawaii_touch_no_other_state(state: str) -> None:
    states = by_state()
    assert not any(touch(states[state], own) for name, own in states.items() if name != state)


def test_names_of_states_lie_in_their_state_and_apart() -> None:
    labels = cartogram().labels
    assert labels.keys() == SEATS.keys()
    boxes = {}
    for state, (x, y) in labels.items():
        half_width, half_height = 8.5, 5.5  # two bold capitals of 11 units
        boxes[state] = (x - half_width, y - half_height, x + half_width, y + half_height)
        for corner_x in (x - half_width, x + half_width):
            for corner_y in (y - half_height, y + half_height):
                assert (math.floor(corner_x / CELL), math.floor(corner_y / CELL)) in by_state()[state], state
    for one, other in combinations(boxes.values(), 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_borders_are_the_sides_between_states() -> None:
    owner = {cell: district[:2] for district, cell in cells().items()}
    sides = {
        frozenset((cell, there))
        for cell, state in owner.items()
        for dx, dy in SIDES
        if owner.get(there := (cell[0] + dx, cell[1] + dy)) != state
    }
    assert sum(abs(x2 - x1) + abs(y2 - y1) for x1, y1, x2, y2 in borders(cells())) == len(sides)


def test_the_computation_is_the_same_each_time() -> None:
    first, second = Board(), Board()
    first.anneal(7, 20_000)
    second.anneal(7, 20_000)
    assert first.owner == second.owner
    assert all(first.size[1:])
    for number_, size in enumerate(first.size):  # what it keeps count of is what is there
        assert size == first.owner.count(number_)


@pytest.mark.slow
def test_the_file_is_what_the_computation_gives() -> None:
    rows = computed().lines()
    found = {(x, y): name for y, row in enumerate(rows) for x, name in enumerate(row) if name != ".."}
    assert found == {cell: district[:2] for district, cell in cells().items()}


# --- what people write ------------------------------------------------------------------------------------------------


@given(st.sampled_from(all_districts()), st.sampled_from([int, np.int64, np.uint16, float, str, "{:04d}".format]))
def test_a_district_by_name_and_by_code(district: str, kind: Any) -> None:
    state, seat = district.split("-")
    code = 100 * SEATS[state][0] + int(seat)
    assert district_of(kind(code) if kind is not float else float(code)) == district
    forms = [district, district.lower(), f"{state}{int(seat)}", f"districts/{district}", f"5001900US{code:04d}"]
    assert {district_of(form) for form in forms} == {district}


@pytest.mark.parametrize("key", [200, 201, "0200", "0201", "AK-00", "AK-01", "ak-al", "AK-98", np.int32(200)])
def test_the_only_seat_of_a_state(key: object) -> None:
    assert district_of(key) == "AK-01"


@pytest.mark.parametrize("key", [1100, 1101, 1198, "DC-98", "5001900US1198"])
def test_the_delegate_of_the_capital(key: object) -> None:
    assert district_of(key) == "DC-01"


@pytest.mark.parametrize(
    "key",
    ["NC-15", "NC-00", "NC-98", 3700, 3715, "CA-53", "MT-00", 3000, "XX-01", "PR-98", 7298, "NC", "", None, True,
     3701.5, math.nan, b"3701", 37, 99, 370101, -3701, ("NC", 1), "37 01"],
)  # fmt: skip
def test_what_is_no_district_is_refused(key: object) -> None:
    with pytest.raises(InputError, match="expected"):
        district_of(key)


@pytest.mark.parametrize("keys", [("NC-01", 3701), (200, "0201"), ("DC-01", 1198), ("AK-AL", "districts/AK-01")])
def test_a_district_under_two_names_is_refused(keys: tuple[object, object]) -> None:
    with pytest.raises(InputError, match="each district once"):
        pe_data.map(dict.fromkeys(keys, 1.0))


@pytest.mark.parametrize("value", [math.inf, -math.inf, "1", True, [1], object(), 1j])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"'NC-01': value: expected a finite number"):
        pe_data.map({"NC-01": value})


# --- colours ----------------------------------------------------------------------------------------------------------

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-9)


@given(st.lists(NUMBERS, min_size=1, max_size=50), st.booleans())
def test_classes_rise_with_the_value(values: list[float], signed: bool) -> None:
    scale = scale_of(values, signed=signed)
    assert all(low < high for low, high in pairwise(scale.bounds))
    indexes = [scale.index(value) for value in sorted(values)]
    assert indexes == sorted(indexes)
    assert 0 <= indexes[0] <= indexes[-1] < len(scale.names) == len(scale.bounds) + 1
    assert set(scale.names) <= palette().keys() == palette(dark=True).keys()
    if signed:
        assert scale.index(0.0) == 4
        assert [8 - scale.index(value) for value in values] == [scale.index(-value) for value in values]


@given(st.lists(NUMBERS, min_size=2, max_size=50))
def test_the_bounds_tell_values_apart(values: list[float]) -> None:
    scale = scale_of(values, signed=False)
    if max(values) > min(values):
        assert len({scale.index(value) for value in values}) > 1 or max(values) - min(values) < 1e-9 * abs(max(values))


def test_noise_has_no_colour() -> None:
    scale = scale_of([1e-9, -2e-8, 3e-12], signed=True, least=0.001)
    assert {scale.index(value) for value in (1e-9, -2e-8, 0.0009)} == {4}
    assert scale.bounds[4:] == (0.001, 0.002, 0.005, 0.01)
    wide = scale_of([0.3, -0.2, 1.7], signed=True, least=0.001)
    assert wide.index(0.3) > 4 > wide.index(-0.2)


def test_an_outlier_does_not_take_the_colours_of_the_others() -> None:
    scale = scale_of([*np.linspace(-1, 1, 200), 1e6], signed=True)
    assert scale.bounds[-1] <= 2


def seen_by(colour: str, matrix: np.ndarray) -> np.ndarray:
    """L*a*b* of a colour for an eye that lacks one kind of cone."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = matrix @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear.clip(0, 1) / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


EYES = {  # Machado, Oliveira and Fernandes (2009), severity 1
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("colours", [DIVERGING, DIVERGING_DARK, SEQUENTIAL, SEQUENTIAL_DARK])
def test_every_eye_tells_the_classes_apart(colours: tuple[str, ...], eye: str) -> None:
    seen = [seen_by(colour, EYES[eye]) for colour in colours]
    for (first, one), (second, other) in combinations(enumerate(seen), 2):
        assert np.linalg.norm(one - other) > 7, (colours[first], colours[second])


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (0.0123, {"percent": True, "signed": True}, "+1.23 %"), (-0.5, {"percent": True, "signed": True}, "−50 %"),
        (0.0, {"signed": True}, "0"), (-0.0, {}, "0"), (-1e-15, {"signed": True}, "0"), (761169.2, {}, "761,169"),
        (0.02, {}, "0.02"), (1e-6, {}, "0.000001"), (99.95, {}, "100"), (-12.34, {}, "−12.3"),
    ],
)  # fmt: skip
def test_numbers_as_they_are_written(value: float, options: dict[str, bool], text: str) -> None:
    assert number(value, **options) == text


# --- the picture ------------------------------------------------------------------------------------------------------


def drawn(svg: str) -> tuple[dict[str, str], str]:
    """Class of each district, and all words of the picture."""
    root = ET.fromstring(svg)
    paths = {path.get("data-area"): path.get("class") for path in root.iter(f"{SVG}path") if path.get("data-area")}
    return paths, " | ".join(text.text or "" for text in root.iter() if text.tag in (f"{SVG}text", f"{SVG}title"))


def test_a_map_of_values_with_a_sign() -> None:
    picture = pe_data.map({"NC-01": -0.04, 634: 0.04, "0200": None, "1198": math.nan}, title="A <change>", percent=True)
    paths, words = drawn(picture.svg())
    assert sorted(paths) == all_districts()
    assert (paths["NC-01"], paths["CA-34"], paths["AK-01"], paths["DC-01"], paths["WY-01"]) == (
        "d1", "d7", NO_VALUE, NO_VALUE, NO_VALUE,
    )  # fmt: skip
    for text in ("NC-01: −4 %", "CA-34: +4 %", "AK-01: no value", "A <change>", "| +5 %", "| −1 %", "no value"):
        assert text in words
    assert picture._repr_svg_() == picture.svg()
    assert repr(picture) == 'map of 2 districts: A <change>; .save("map.svg") writes it'


def test_a_map_of_values_without_a_sign() -> None:
    paths, words = drawn(pe_data.map({name: float(n) for n, name in enumerate(all_districts())}).svg())
    assert set(paths.values()) == {f"s{n}" for n in range(5)}
    assert "| 100 |" in words
    assert "no value" not in words  # no district is without one
    assert drawn(pe_data.map({"NC-01": 5.0}, signed=True).svg())[0]["NC-01"].startswith("d")


@pytest.mark.parametrize("values", [{}, {"NC-01": None}, {"NC-01": 7.0}, dict.fromkeys(all_districts(), 0.0)])
def test_a_map_of_little(values: dict[str, float | None]) -> None:
    paths, _ = drawn(pe_data.map(values).svg())
    assert set(paths.values()) <= {NO_VALUE, "s0"}


def test_a_series_of_pandas_and_a_file(tmp_path: Path) -> None:
    import pandas as pd

    series = pd.Series([1.0, None, 3.0], index=[3701, 3712, 634])
    missing = pd.Series([1, pd.NA], index=["NC-01", "NC-12"], dtype="Int64")
    assert pe_data.map(series).measure.values == {"NC-01": 1.0, "NC-12": None, "CA-34": 3.0}
    assert pe_data.map(missing).measure.values == {"NC-01": 1.0, "NC-12": None}
    path = pe_data.map(series).save(tmp_path / "map.svg")
    assert path.read_text() == pe_data.map(series).svg()


@pytest.mark.parametrize("values", [7.0, [1.0, 2.0], "NC-01", None, "frame", "matrix"])
def test_values_without_districts_are_one_line(values: Any) -> None:
    import pandas as pd

    odd = {"frame": pd.DataFrame({"median": [1.0]}, index=["NC-01"]), "matrix": np.ones((2, 2))}
    with pytest.raises(InputError, match="map: values: expected a number for each district") as caught:
        pe_data.map(odd.get(values, values) if isinstance(values, str) else values)
    assert "\n" not in str(caught.value)


# --- true shapes ------------------------------------------------------------------------------------------------------

MIDDLE = {"AK": (-152, 64), "HI": (-157, 20.5)}


def boxes(**change: Any) -> dict[str, Any]:
    """A square for each district: those of the lower 48 side by side, by GEOID with 00 for an at-large seat."""
    features = []
    for at, district in enumerate(all_districts()):
        fips, seats = SEATS[district[:2]]
        x, y = MIDDLE.get(district[:2], (-120 + at % 40, 30 + at // 40))
        ring = [[x, y], [x + 0.9, y], [x + 0.9, y + 0.9], [x, y + 0.9], [x, y]]
        geoid = f"{fips:02d}{0 if seats == 1 else int(district[3:]):02d}"
        features.append(
            {"type": "Feature", "properties": {"GEOID": geoid}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        )
    return {"type": "FeatureCollection", "features": features} | change


def written(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_a_map_of_true_shapes(tmp_path: Path) -> None:
    document = boxes()
    for geoid in ("7298", "6600", "06ZZ"):  # Puerto Rico, Guam, water
        document["features"].append(document["features"][0] | {"properties": {"GEOID": geoid}})
    document["features"][1]["geometry"] = {
        "type": "MultiPolygon", "coordinates": [document["features"][1]["geometry"]["coordinates"]],
    }  # fmt: skip
    path = written(tmp_path / "shapes.json", document)
    picture = pe_data.map({3701: 1.0, "AK-01": 2.0}, shapes=path)
    paths, _ = drawn(picture.svg())
    assert sorted(paths) == all_districts()
    assert (paths["NC-01"], paths["AK-01"]) != (NO_VALUE, NO_VALUE)
    west, east = (float(picture.frame.paths[name][1:].split(" ")[0]) for name in ("AL-01", "AZ-09"))
    assert west < east  # west is left
    assert all("NaN" not in data and data.endswith("z") for data in picture.frame.paths.values())


def test_the_codes_of_shapes_have_several_names(tmp_path: Path) -> None:
    plain = pe_data.map({}, shapes=written(tmp_path / "a.json", boxes())).frame
    renamed = boxes()
    for number_, feature in enumerate(renamed["features"]):
        geoid = feature["properties"].pop("GEOID")
        if number_ % 3 == 0:
            feature["properties"]["GEOIDFQ"] = f"5001900US{geoid}"
        elif number_ % 3 == 1:
            feature["id"] = geoid
        else:
            feature["properties"]["GEOID20"] = int(geoid)
    assert pe_data.map({}, shapes=written(tmp_path / "b.json", renamed)).frame == plain


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.pop(), "found none for WY-01"),
        (lambda f: f.append(f[0]), "AK-01 again"),
        (lambda f: f[0]["properties"].clear(), "feature 1: expected a Census GEOID"),
        (lambda f: f[0]["properties"].update(GEOID="0202"), "found AK-02"),
        (lambda f: f[0].pop("geometry"), "expected a Polygon"),
        (lambda f: f[0]["geometry"].update(type="Point"), "expected a Polygon"),
        (lambda f: f[0]["geometry"].update(coordinates=[[[500000, 4e6], [5, 5], [6, 6], [500000, 4e6]]]), "EPSG:4326"),
        (lambda f: f[0]["geometry"].update(coordinates=[[["x", "y"]]]), "expected a Polygon"),
        (lambda f: f.insert(0, None), "feature 1: expected a Census GEOID"),
    ],
)  # fmt: skip
def test_shapes_that_are_not_all_there_are_refused(tmp_path: Path, spoil: Any, words: str) -> None:
    document = boxes()
    spoil(document["features"])
    with pytest.raises(InputError, match=words):
        pe_data.map({"NC-01": 1.0}, shapes=written(tmp_path / "shapes.json", document))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": 3}', "\x00", "PK"])
def test_a_file_that_is_no_geojson_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "shapes.json").write_text(text)
    for path in (tmp_path / "shapes.json", tmp_path / "absent.json", tmp_path):
        with pytest.raises(InputError, match="expected"):
            pe_data.map({"NC-01": 1.0}, shapes=path)


def test_seats_are_those_of_the_workflow() -> None:
    """Two distributions have a table each; after an apportionment both change, or districts would go missing."""
    from local_h5 import us

    assert {state: fips for state, (fips, _) in SEATS.items()} == us.STATE_FIPS
    assert {state for state, (_, seats) in SEATS.items() if seats == 1} == us.AT_LARGE_STATES
