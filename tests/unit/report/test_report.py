"""What the report says of a sound run, of a broken file and of wrong inputs."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from validation_world import CODES, ROOT, Run, copy_of, with_validation

from local_h5.cli import main
from local_h5.contracts.results import run_id, sidecar_path
from local_h5.errors import ResultError
from local_h5.report.causes import shared_causes
from local_h5.report.collect import collect, odd_columns
from local_h5.report.figures import MEASURES
from local_h5.report.tables import area_rows, target_rows
from local_h5.report.tiles import COLUMNS, PLACES, ROWS, cells
from local_h5.report.write import write_report
from local_h5.us import STATE_FIPS

PLACE = {"AK", "CA", "DC", "NC", "AK-01", "CA-34", "DC-01", "NC-01", "NC-12", "US"}


def summary_of(run: Run, folder: Path) -> dict[str, Any]:
    write_report(run.settings, folder)
    data: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return data


def page_data(folder: Path) -> dict[str, Any]:
    page = (folder / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def statuses(run: Run) -> Mapping[str, str]:
    return {area.request.area_id: area.status for area in collect(run.settings).areas}


def test_a_sound_run(sound: Run, tmp_path: Path) -> None:
    summary = summary_of(sound, tmp_path)
    assert summary["not_releasable"] == {"cities/NYC": ["not built"]}
    assert summary["shared_causes"] == []
    data = page_data(tmp_path)
    assert {row[0]: row[2] for row in data["areas"]} == {
        **dict.fromkeys(PLACE - {"DC", "DC-01", "AK"}, "passed"),
        **dict.fromkeys(("DC", "DC-01", "AK"), "passed"),  # structure passed; they have no targets
        "NYC": "not built",
    }


def test_a_broken_file_fails_alone_and_is_seen_at_a_glance(broken: Run, tmp_path: Path) -> None:
    summary = summary_of(broken, tmp_path)
    assert set(summary["not_releasable"]) == {"districts/NC-01", "cities/NYC"}
    assert summary["shared_causes"] == []
    data = page_data(tmp_path)
    assert "NC-01" in data["headline"]
    assert data["areas"][0][0] in ("NC-01", "NYC")
    assert {row[0] for row in data["targets"][:2]} == {"NC-01"}
    assert data["targets"][0][5] == pytest.approx(9.0, rel=1e-3)
    (cell,) = [
        rect
        for rect in ET.parse(tmp_path / "figures" / "district_map_target_error.svg").iter(
            "{http://www.w3.org/2000/svg}rect"
        )
        if rect.get("data-area") == "NC-01"
    ]
    assert (cell.get("data-status"), cell.get("fill"), cell.get("stroke")) == ("failed", "#d73027", "#000")


def test_the_map_shows_one_measure_at_a_time(sound: Run, tmp_path: Path) -> None:
    """A district without targets has no colour of another measure."""
    write_report(sound.settings, tmp_path)
    svg = "{http://www.w3.org/2000/svg}"
    fills = {
        measure: {
            rect.get("data-area"): rect.get("fill")
            for rect in ET.parse(tmp_path / "figures" / f"district_map_{measure}.svg").iter(f"{svg}rect")
            if rect.get("data-area")
        }
        for measure in MEASURES
    }
    assert fills["target_error"]["DC-01"] == "url(#hatch_target_error)"  # it has no targets
    assert fills["target_error"]["NC-01"] == fills["population_error"]["DC-01"] == "#1a9850"
    assert [measure for measure, _ in page_data(tmp_path)["measures"]] == list(MEASURES)


def test_a_measure_without_any_value_is_not_offered(sound: Run, tmp_path: Path) -> None:
    run = with_validation(sound, level="structural")
    write_report(run.settings, tmp_path)
    assert page_data(tmp_path)["measures"] == [["population_error", MEASURES["population_error"]]]


def test_the_page_says_what_it_is_about(sound: Run, tmp_path: Path) -> None:
    write_report(sound.settings, tmp_path, checkout=ROOT)
    card = dict(page_data(tmp_path)["identity"])
    sidecars = {
        f"{path.parent.name}/{path.name.removesuffix('.h5.result.json')}": json.loads(path.read_text())
        for path in sound.settings.results.glob("*/*.h5.result.json")
    }
    assert card["Run"].startswith(run_id({key: value["output"]["sha256"] for key, value in sidecars.items()}))
    assert f"{len(sidecars)} of {len(sidecars) + 1} files" in card["Run"]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert f"commit {commit.stdout[:12]}" in card["Code"]
    code = next(iter(sidecars.values()))["versions"]["policyengine-us"]
    assert f"policyengine-us {code}" in card["Model"]
    assert card["Source"].startswith(str(sound.settings.dataset))


def test_outside_a_checkout_the_page_names_no_commit(sound: Run, tmp_path: Path) -> None:
    write_report(sound.settings, tmp_path, checkout=tmp_path)
    assert dict(page_data(tmp_path)["identity"])["Code"].startswith("not a git checkout")


def test_what_the_files_say_of_themselves_stands_at_the_top(sound: Run, tmp_path: Path) -> None:
    run = copy_of(sound, tmp_path / "run")
    path = sidecar_path(run.path("NC-01"))
    data = json.loads(path.read_text())
    data["notes"] = {"purpose": "demonstration <!--<script"}
    path.write_text(json.dumps(data))
    write_report(run.settings, tmp_path)
    assert ["purpose", "demonstration <!--<script"] in page_data(tmp_path)["notes"]


def test_a_field_that_a_whole_state_lacks_is_a_warning(sound: Run, tmp_path: Path) -> None:
    write_report(sound.settings, tmp_path)
    (warning,) = [text for text in page_data(tmp_path)["warnings"] if text.startswith("DC ")]
    assert "puma" in warning
    assert "sldu" in warning


def test_wrong_inputs_fail_with_one_cause(wrong_inputs: Run, tmp_path: Path) -> None:
    assert {name for name, status in statuses(wrong_inputs).items() if status == "failed"} == {"NC-01", "NC", "US"}
    (cause,) = shared_causes(collect(wrong_inputs.settings))
    assert (cause.districts, set(cause.areas)) == (("NC-01",), {"NC", "US"})
    assert "one cause" in cause.text
    assert "failing targets are met without them" in cause.text
    summary = summary_of(wrong_inputs, tmp_path)
    assert summary["shared_causes"][0]["districts"] == ["NC-01"]
    assert page_data(tmp_path)["causes"] == [cause.text]


def test_another_failure_is_no_shared_cause(wrong_inputs: Run, tmp_path: Path) -> None:
    run = copy_of(wrong_inputs, tmp_path / "run")
    path = run.settings.results / "validation" / "targets" / "states" / "NC.json"
    run.edit("NC", "household_weight", lambda v: v * 3)
    data = json.loads(path.read_text())
    data["area"]["sha256"] = json.loads(sidecar_path(run.path("NC")).read_text())["output"]["sha256"]
    path.write_text(json.dumps(data))
    assert [cause.areas for cause in shared_causes(collect(run.settings))] == [("US",)]


def test_tables_have_a_row_per_area_and_per_target(broken: Run, tmp_path: Path) -> None:
    write_report(broken.settings, tmp_path)
    run = collect(broken.settings)
    areas, targets = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("areas", "targets"))
    assert areas.num_rows == len(run.areas)
    assert targets.to_pylist() == target_rows(run)
    assert {"family", "in_training", "verdict", "reason"} <= set(targets.column_names)
    (row,) = [row for row in areas.to_pylist() if row["area_id"] == "NC-01"]
    assert (row["status"], row["releasable"], row["small_sample"]) == ("failed", False, True)
    assert row["population_error"] == pytest.approx(9.0, rel=0.02)


def test_the_page_needs_no_network(broken: Run, tmp_path: Path) -> None:
    page = write_report(broken.settings, tmp_path).read_text()
    page = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.|@import|src=|<link", page)


def test_texts_cannot_end_the_script(broken: Run, tmp_path: Path) -> None:
    run = copy_of(broken, tmp_path / "run")
    path = run.settings.results / "validation" / "targets" / "districts" / "NC-01.json"
    data = json.loads(path.read_text())
    data["findings"][0]["message"] = "</script><b>&"
    path.write_text(json.dumps(data))
    write_report(run.settings, tmp_path)
    assert any("</script><b>&" in str(row[-1]) for row in page_data(tmp_path)["areas"])
    ET.parse(tmp_path / "figures" / "district_map_target_error.svg")


def test_a_run_that_stopped_half_way_has_a_report(broken: Run, tmp_path: Path) -> None:
    run = copy_of(broken, tmp_path / "run")
    sidecar_path(run.path("NC")).unlink()
    run.save_config()
    main(["report", "--results", str(run.settings.results), "--output", str(tmp_path / "out")])
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["status"]["not built"] == 2


def test_an_area_that_was_not_validated_is_not_releasable(sound: Run, tmp_path: Path) -> None:
    run = copy_of(sound, tmp_path / "run")
    (run.settings.results / "validation" / "targets" / "states" / "NC.json").unlink()
    assert statuses(run)["NC"] == "not validated"
    assert summary_of(run, tmp_path)["not_releasable"]["states/NC"] == ["not validated: targets"]


def test_a_damaged_record_is_one_line(broken: Run, tmp_path: Path) -> None:
    run = copy_of(broken, tmp_path / "run")
    (run.settings.results / "validation" / "structural" / "states" / "NC.json").write_text("{")
    with pytest.raises(ResultError, match=r"NC\.json.*validate again"):
        write_report(run.settings, tmp_path)


def test_a_file_with_other_columns_stands_out(broken: Run, tmp_path: Path) -> None:
    run = copy_of(broken, tmp_path / "run")
    path = sidecar_path(run.path("NC-12"))
    data = json.loads(path.read_text())
    data["columns"] = [column for column in data["columns"] if column["name"] != "vtd"]
    path.write_text(json.dumps(data))
    assert odd_columns(collect(run.settings).areas) == {"districts/NC-12": ["vtd"]}


def test_areas_are_measured_as_their_sidecars_say(sound: Run) -> None:
    for row in area_rows(collect(sound.settings)):
        if row["status"] != "not built":
            weights = json.loads(sidecar_path(sound.path(row["area_id"])).read_text())["weights"]
            assert row["persons"] == weights["persons"]
            assert row["effective_sample_size"] == weights["effective_sample_size"]


def test_every_state_has_a_tile_of_its_own() -> None:
    assert PLACES.keys() == STATE_FIPS.keys()
    assert len(set(PLACES.values())) == len(PLACES)
    assert max(x for x, _ in PLACES.values()) < COLUMNS
    assert max(y for _, y in PLACES.values()) < ROWS


def test_cells_of_a_state_do_not_overlap() -> None:
    names = [f"CA-{number:02d}" for number in range(1, 53)]
    placed = list(cells([*names, *CODES]))
    assert {cell.district for cell in placed} == {*names, *CODES}
    corners = {(round(cell.x, 6), round(cell.y, 6)) for cell in placed}
    assert len(corners) == len(placed)
    column, row = PLACES["CA"]
    for cell in placed:
        if cell.district.startswith("CA"):
            assert column <= cell.x <= cell.x + cell.size <= column + 1
            assert row <= cell.y <= cell.y + cell.size <= row + 1
