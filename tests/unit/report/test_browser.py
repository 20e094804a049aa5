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
        script = "document.querySelector('path[data-area=\"NC-01\"]')"
        assert page.run(f"{script}.getAttribute('class')") == "d7"
        box = page.run(f"{script}.getBoundingClientRect().toJSON()")
        assert min(box["width"], box["height"]) > 9
        # the map shows one measure at a time, with its legend
        legends = "[...document.querySelectorAll('[data-measure]')].filter((g) => g.getBoundingClientRect().width)"
        assert page.run(f"{legends}.map((g) => g.dataset.measure)") == ["target_error"]
        page.run(
            "(() => { const box = document.getElementById('measure'); box.value = 'sample_size';"
            " box.dispatchEvent(new Event('change')); })()"
        )
        assert page.run(f"{legends}.map((g) => g.dataset.measure)") == ["sample_size"]
        assert page.run(f"{script}.getAttribute('class')")[0] == "s"

        assert page.run("[1.2e-3, -1.2e-3, -1e-9, 0].map(percent)") == ["0.12 %", "−0.12 %", "0.00 %", "0.00 %"]

        # every table sorts by every column, both ways
        for table in page.run("[...document.querySelectorAll('table')].map((table) => table.id)"):
            for number in range(page.run(f"document.querySelectorAll('#{table} th').length")):
                head = f"document.querySelectorAll('#{table} th')[{number}]"
                page.run(f"{head}.firstChild.click()")
                assert page.run(f"{head}.getAttribute('aria-sort')") == "ascending"
                page.run(f"{head}.firstChild.click()")
                assert page.run(f"{head}.getAttribute('aria-sort')") == "descending"
        page.run("document.querySelectorAll('#areas th button')[7].click()")
        persons = [float(text.replace(",", "")) for text in column(page, "areas", 7) if text]
        assert persons == sorted(persons)
        assert len(persons) > 5
        assert column(page, "areas", 7)[-1] == ""  # what is missing comes last

        # filters
        page.run(
            "(() => { const box = document.getElementById('areas-filter'); box.value = 'district failed';"
            " box.dispatchEvent(new Event('input')); })()"
        )
        assert column(page, "areas", 0) == ["NC-01"]
        page.run(
            "(() => { const box = document.getElementById('areas-filter'); box.value = '';"
            " box.dispatchEvent(new Event('input')); })()"
        )

        # a click on a district shows its rows, another one all again; so do the keys
        press = "dispatchEvent(new KeyboardEvent('keydown', {key: '%s', bubbles: true}))"
        page.run(f"{script}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
        assert (set(column(page, "areas", 0)), set(column(page, "targets", 0))) == ({"NC-01"}, {"NC-01"})
        assert "NC-01" in page.run("document.getElementById('tip').textContent")
        page.run(f"document.activeElement.{press % 'Escape'}")
        assert len(column(page, "areas", 0)) > 5
        for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
            before = page.run("document.activeElement.dataset.area")
            page.run(f"document.activeElement.{press % key}")
            assert page.run("document.activeElement.dataset.area") not in (before, None)
        chosen = page.run("document.activeElement.dataset.area")
        page.run(f"document.activeElement.{press % 'Enter'}")
        assert page.run("document.getElementById('areas-filter').value") == chosen
        assert page.run("[...document.querySelectorAll('path[data-area]')].filter((c) => c.tabIndex === 0).length") == 1


@pytest.mark.parametrize("width", [360, 900, 1600])
def test_the_page_fits_the_screen(broken: Run, tmp_path: Path, width: int) -> None:
    """No sideways scroll of the page; what is wider scrolls in its own box. Names on the map stay readable."""
    report = write_report(broken.settings, tmp_path / "out")
    with open_page(tmp_path / "profile") as page:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        page.open(report)
        assert page.run("document.documentElement.scrollWidth") <= width
        sizes = page.run(
            "[...document.querySelectorAll('#map .labels text')].map((text) => text.getBoundingClientRect().height)"
        )
        assert len(sizes) == 51
        assert min(sizes) >= 9
        cut = page.run(
            "[...document.querySelectorAll('svg text')].filter((text) => { const svg = text.ownerSVGElement"
            ".getBoundingClientRect(), box = text.getBoundingClientRect(); return box.width && (box.left < svg.left - 1"
            " || box.right > svg.right + 1 || box.bottom > svg.bottom + 1); }).map((text) => text.textContent)"
        )
        assert cut == []
        outside = page.run(
            "[...document.querySelectorAll('h1, h2, h3, p, dl, .tile, .box, .filters, input, select')].filter((one) =>"
            " one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80))"
        )
        assert outside == []
