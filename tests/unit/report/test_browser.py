"""The report in a real headless browser: it draws, sorts, filters, and asks nobody for anything."""

from pathlib import Path

import pytest
from chromium import Page, open_page
from validation_world import Run

from local_h5.report.write import write_report

pytestmark = pytest.mark.browser


def column(page: Page, table: str, number: int) -> list[str]:
    cells: list[str] = page.run(
        f'[...document.querySelectorAll("#{table} tbody tr")].map((row) => row.cells[{number}].textContent)'
    )
    return cells


def test_the_report_in_a_browser(broken: Run, tmp_path: Path) -> None:
    report = write_report(broken.settings, tmp_path / "out")
    with open_page(tmp_path / "profile") as page:
        page.open(report)
        assert page.run("document.body.dataset.ready") == "true"
        requested = {event["request"]["url"] for event in page.happened("Network.requestWillBeSent")}
        assert {url.partition(":")[0] for url in requested} == {"file"}
        assert page.happened("Runtime.exceptionThrown") == []
        assert page.happened("Log.entryAdded") == []

        # at a glance: the headline, the first rows, the map
        assert "NC-01" in page.run('document.getElementById("headline").textContent')
        assert "NC-01" in column(page, "areas", 0)[:2]
        assert column(page, "targets", 0)[:2] == ["NC-01", "NC-01"]
        script = "document.querySelector('rect[data-area=\"NC-01\"]')"
        assert page.run(f"{script}.dataset.status") == "failed"
        box = page.run(f"{script}.getBoundingClientRect().toJSON()")
        assert min(box["width"], box["height"]) > 5
        # the map shows one measure at a time
        shown = "[...document.querySelectorAll('rect[data-area]')].filter((cell) => cell.getBoundingClientRect().width)"
        assert page.run(f"{shown}.map((cell) => cell.closest('div').id)") == ["district_map_target_error"] * 5
        page.run(
            "(() => { const box = document.getElementById('measure'); box.value = 'population_error';"
            " box.dispatchEvent(new Event('change')); })()"
        )
        assert page.run(f"{shown}.map((cell) => cell.closest('div').id)") == ["district_map_population_error"] * 5

        assert page.run("[1.2e-3, -1.2e-3, -1e-9, 0].map(percent)") == ["0.12 %", "-0.12 %", "0.00 %", "0.00 %"]

        # every table sorts by every column, both ways
        for table in page.run("[...document.querySelectorAll('table')].map((table) => table.id)"):
            for number in range(page.run(f"document.querySelectorAll('#{table} th').length")):
                head = f"document.querySelectorAll('#{table} th')[{number}]"
                page.run(f"{head}.click()")
                assert page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
                page.run(f"{head}.click()")
                assert page.run(f"{head}.getAttribute('aria-sort')") == "descending"
        page.run("document.querySelectorAll('#areas th')[7].click()")
        persons = [float(text.replace(",", "")) for text in column(page, "areas", 7) if text]
        assert persons == sorted(persons)
        assert len(persons) > 5
        assert column(page, "areas", 7)[-1] == ""  # what is missing comes last

        # filters
        page.run(
            "(() => { const box = document.getElementById('area-filter'); box.value = 'district failed';"
            " box.dispatchEvent(new Event('input')); })()"
        )
        assert column(page, "areas", 0) == ["NC-01"]
