"""What the report says of a sound run, of a broken file and of wrong inputs."""

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from validation_world import ROOT, Run, copy_of, with_validation

from local_h5.cli import main
from local_h5.contracts.results import run_id, sidecar_path
from local_h5.errors import InputError, ResultError
from local_h5.report.causes import shared_causes
from local_h5.report.collect import collect, odd_columns
from local_h5.report.district_map import KINDS
from local_h5.report.tables import area_rows, target_rows
from local_h5.report.write import write_report
from pe_data.maps.districts import SEATS

SVG = "{http://www.w3.org/2000/svg}"
PLACE = {"AK", "CA", "DC", "NC", "AK-01", "CA-34", "DC-01", "NC-01", "NC-12", "US"}


def summary_of(run: Run, folder: Path) -> dict[str, Any]:
    write_report(run.settings, folder)
    data: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return data


class Words(HTMLParser):
    """The texts below each element with an id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.found: dict[str, list[str]] = {}
        self.sections: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "input", "path", "circle", "rect"):
            self.ids.append(given.get("id") or "")
        if tag == "h2":
            self.sections.append(given.get("id") or "")

    def handle_endtag(self, tag: str) -> None:
        if self.ids:
            self.ids.pop()

    def handle_data(self, data: str) -> None:
        for name in {*self.ids} - {""}:
            if data.strip():
                self.found.setdefault(name, []).append(data.strip())


def words(folder: Path) -> Words:
    return Words((folder / "report.html").read_text())


def card(folder: Path) -> dict[str, str]:
    """Labels and values of the identity card."""
    texts = words(folder).found["identity"]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def page_data(folder: Path) -> dict[str, Any]:
    page = (folder / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def rows(folder: Path, table: str) -> list[list[Any]]:
    found: list[list[Any]] = page_data(folder)["tables"][table]["rows"]
    return found


def on_map(folder: Path, measure: str) -> dict[str, str]:
    """Class of each district in a picture."""
    root = ET.parse(folder / "figures" / f"district_map_{measure}.svg")
    return {
        path.get("data-area", ""): path.get("class", "") for path in root.iter(f"{SVG}path") if path.get("data-area")
    }


CENSUS_CODES = [
    f"{fips:02d}{number if seats > 1 else 0:02d}" for fips, seats in SEATS.values() for number in range(1, seats + 1)
]


def save(run: Run) -> Path:
    run.save_config()
    return run.settings.results


def statuses(run: Run) -> Mapping[str, str]:
    return {area.request.area_id: area.status for area in collect(run.settings).areas}


def test_a_sound_run(sound: Run, tmp_path: Path) -> None:
    summary = summary_of(sound, tmp_path)
    assert summary["not_releasable"] == {"cities/NYC": ["not built"]}
    assert summary["shared_causes"] == []
    assert {row[0]: row[2] for row in rows(tmp_path, "areas")} == {
        **dict.fromkeys(PLACE - {"DC", "DC-01", "AK"}, "passed"),
        **dict.fromkeys(("DC", "DC-01", "AK"), "passed"),  # structure passed; they have no targets
        "NYC": "not built",
    }


def test_a_broken_file_fails_alone_and_is_seen_at_a_glance(broken: Run, tmp_path: Path) -> None:
    summary = summary_of(broken, tmp_path)
    assert set(summary["not_releasable"]) == {"districts/NC-01", "cities/NYC"}
    assert summary["shared_causes"] == []
    assert "NC-01" in " ".join(words(tmp_path).found["headline"])
    assert rows(tmp_path, "areas")[0][0] == "NC-01"  # what failed stands before what is not built
    targets = rows(tmp_path, "targets")
    assert {row[0] for row in targets[:2]} == {"NC-01"}
    assert targets[0][5] == pytest.approx(9.0, rel=1e-3)
    assert on_map(tmp_path, "target_error")["NC-01"] == "d7"
    data = page_data(tmp_path)["map"]
    at = data["districts"].index("NC-01")
    assert (data["status"][at], data["measures"]["target_error"]["words"][at]) == ("failed", "+900 %")


def test_the_map_shows_one_measure_at_a_time(sound: Run, tmp_path: Path) -> None:
    """A district without targets has no colour of another measure."""
    write_report(sound.settings, tmp_path)
    errors, persons = on_map(tmp_path, "target_error"), on_map(tmp_path, "population_error")
    assert errors["DC-01"] == errors["WY-01"] == "none"  # no targets; not in this run
    assert (errors["NC-01"], persons["DC-01"], persons["WY-01"]) == ("d4", "d4", "none")
    data = page_data(tmp_path)["map"]
    assert list(data["measures"]) == ["target_error", "target_miss", "population_error", "sample_size"]
    for measure in data["measures"].values():
        assert len(measure["classes"].split()) == len(measure["words"]) == len(data["districts"]) == 436


def test_a_measure_without_any_value_is_not_offered(sound: Run, tmp_path: Path) -> None:
    run = with_validation(sound, level="structural")
    write_report(run.settings, tmp_path)
    assert list(page_data(tmp_path)["map"]["measures"]) == ["population_error", "sample_size"]
    assert set(on_map(tmp_path, "target_error").values()) == {"none"}
    assert KINDS["target_error"].title not in (tmp_path / "report.html").read_text()


def test_what_a_run_does_not_have_is_no_section(sound: Run, tmp_path: Path) -> None:
    """It is named at the end, with what fills it."""
    write_report(sound.settings, tmp_path / "targets")
    write_report(with_validation(sound, level="structural").settings, tmp_path / "structural")
    full, less = words(tmp_path / "targets"), words(tmp_path / "structural")
    assert {"all-targets", "errors"} <= set(full.sections)
    assert not {"all-targets", "errors", "belief", "times"} & set(less.sections)
    assert "validation.level: targets" in " ".join(less.found["hidden"])
    assert "validation.level: targets" not in " ".join(full.found["hidden"])
    for page in (tmp_path / "targets" / "report.html", tmp_path / "structural" / "report.html"):
        text = page.read_text()
        assert re.findall(r'<li><a href="#([a-z-]+)"', text) == Words(text).sections  # the contents list is true


def test_the_map_can_have_true_shapes(sound: Run, tmp_path: Path) -> None:
    shapes = tmp_path / "shapes.json"
    shapes.write_text("{}")
    with pytest.raises(InputError, match=r"shapes\.json: expected a FeatureCollection"):
        write_report(sound.settings, tmp_path / "out", shapes=shapes)
    features = []
    for at, code in enumerate(CENSUS_CODES):
        x, y = -120 + at % 40, 30 + at // 40
        ring = [[x, y], [x + 0.9, y], [x + 0.9, y + 0.9], [x, y + 0.9], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"GEOID": code}, "geometry": geometry})
    shapes.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    main(["report", "--results", str(save(sound)), "--output", str(tmp_path / "out"), "--shapes", str(shapes)])
    assert on_map(tmp_path / "out", "target_error")["NC-01"] == "d4"
    assert "Shapes as given" in (tmp_path / "out" / "report.html").read_text()


def test_the_page_says_what_it_is_about(sound: Run, tmp_path: Path) -> None:
    write_report(sound.settings, tmp_path, checkout=ROOT)
    said = card(tmp_path)
    sidecars = {
        f"{path.parent.name}/{path.name.removesuffix('.h5.result.json')}": json.loads(path.read_text())
        for path in sound.settings.results.glob("*/*.h5.result.json")
    }
    assert said["Run"].startswith(run_id({key: value["output"]["sha256"] for key, value in sidecars.items()}))
    assert f"{len(sidecars)} of {len(sidecars) + 1} files" in said["Run"]
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert f"commit {commit.stdout[:12]}" in said["Code"]
    code = next(iter(sidecars.values()))["versions"]["policyengine-us"]
    assert f"policyengine-us {code}" in said["Model"]
    assert said["Source"].startswith(str(sound.settings.dataset))


def test_outside_a_checkout_the_page_names_no_commit(sound: Run, tmp_path: Path) -> None:
    write_report(sound.settings, tmp_path, checkout=tmp_path)
    assert card(tmp_path)["Code"].startswith("not a git checkout")


def test_what_the_files_say_of_themselves_stands_at_the_top(sound: Run, tmp_path: Path) -> None:
    run = copy_of(sound, tmp_path / "run")
    path = sidecar_path(run.path("NC-01"))
    data = json.loads(path.read_text())
    data["notes"] = {"purpose": "demonstration <!--<script"}
    path.write_text(json.dumps(data))
    write_report(run.settings, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<dt>purpose</dt><dd>demonstration &lt;!--&lt;script</dd>" in page
    assert "Demonstration: not an estimate" in page
    write_report(sound.settings, tmp_path)
    assert "Demonstration" not in (tmp_path / "report.html").read_text()


def test_a_field_that_a_whole_state_lacks_is_a_warning(sound: Run, tmp_path: Path) -> None:
    write_report(sound.settings, tmp_path)
    page = (tmp_path / "report.html").read_text()
    (warning,) = [text for text in re.findall(r'<div class="box warning">([^<]*)', page) if text.startswith("DC ")]
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
    assert re.findall(r'<div class="box alarm cause">([^<]*)', (tmp_path / "report.html").read_text()) == [cause.text]


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
    assert any("</script><b>&" in str(row[-1]) for row in rows(tmp_path, "areas"))
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


def test_what_changed_from_another_run(sound: Run, broken: Run, tmp_path: Path) -> None:
    """Totals, movers, targets and the map, by sidecars and records; the other run is a folder."""
    save(broken)
    write_report(broken.settings, tmp_path, against=str(sound.settings.results))
    said = words(tmp_path).found
    assert "1 changed" in " ".join(said["change-summary"])
    assert [row[0] for row in rows(tmp_path, "change-movers")] == ["districts/NC-01"]
    assert rows(tmp_path, "change-movers")[0][3] == pytest.approx(9.0, rel=1e-3)
    moved = rows(tmp_path, "change-targets")
    assert {row[0] for row in moved} == {"districts/NC-01"}
    assert moved[0][6] == pytest.approx(9.0, rel=1e-3)
    assert {row[0]: row[1:3] for row in rows(tmp_path, "change-totals")}["areas"] == [10, 10]
    classes = page_data(tmp_path)["map"]
    changes = dict(zip(classes["districts"], classes["measures"]["change"]["words"], strict=True))
    assert (changes["NC-01"], changes["NC-12"], changes["WY-01"]) == ("+900 %", "0 %", "no value")
    assert [name for name in words(tmp_path).sections if name in ("change", "release")] == ["change", "release"]
    assert "Not releasable" in said["release-card"]  # it has no approvals
    assert "--against" not in " ".join(said.get("hidden", []))


def test_against_itself_nothing_changed(sound: Run, tmp_path: Path) -> None:
    main(["report", "--results", str(save(sound)), "--output", str(tmp_path), "--against", str(sound.settings.results)])
    said = words(tmp_path).found
    assert "no difference" in " ".join(said["change-summary"])
    tables = page_data(tmp_path)["tables"]
    assert {"change-movers", "change-targets"} & tables.keys() == set()
    write_report(sound.settings, tmp_path / "alone")
    assert "--against" in " ".join(words(tmp_path / "alone").found["hidden"])


@pytest.mark.parametrize("against", ["us/never_published@latest", "@v0", "nowhere", "sha256:12", "@sha256:" + 64 * "0"])
def test_a_run_that_is_not_there_is_one_line(
    sound: Run, tmp_path: Path, against: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PE_DATA_STORE", "PE_DATA_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with pytest.raises(InputError, match=f"--against {re.escape(against)}: "):
        write_report(sound.settings, tmp_path, against=against)
    assert not (tmp_path / "report.html").exists()
