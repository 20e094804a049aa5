"""The documentation as a site: a broken link stops it, and its search finds pages without the network."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from chromium import open_page

ROOT = Path(__file__).parents[2]
(RECIPE,) = re.findall(r"^\t@NO_MKDOCS_2_WARNING=1 mkdocs (build.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def build(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Build a site as `make docs` does."""
    if importlib.util.find_spec("mkdocs") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no mkdocs; run make docs")
        pytest.skip("no mkdocs; run make docs")
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *shlex.split(RECIPE), *args], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False,
    )  # fmt: skip


def test_a_broken_link_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Start\n\n[other](other.md#there)\n")
    (tmp_path / "docs/other.md").write_text("# Other\n\n## There\n")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    checks = settings[settings.index("\nvalidation:") : settings.index("\nnav:")]
    (tmp_path / "mkdocs.yml").write_text(f"site_name: test\nplugins: []\n{checks}\n")
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    broken = ("no.md", "other.md#nowhere", "images/no.svg", "/other.md")
    (tmp_path / "docs/index.md").write_text("# Start\n\n" + " ".join(f"![x]({link}) [x]({link})" for link in broken))
    done = build(tmp_path)
    assert done.returncode == 1
    assert [link for link in broken if link not in done.stderr] == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.browser
def test_the_search_finds_pages_without_the_network(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = build(ROOT, "--site-dir", str(site))
    assert done.returncode == 0, done.stderr
    found = "[...document.querySelectorAll('.md-search-result__item > a')].map((one) => one.href)"
    with served(site) as address, open_page(tmp_path / "profile") as page:
        page.call("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)
        for word, expected in (
            ("take-up", "extending.html"),
            ("weighted median", "estimates.html"),
            ("unknown key", "troubleshooting.html"),
        ):
            page.open(f"{address}/index.html")
            box = page.run("document.querySelector('.md-search__input').getBoundingClientRect().toJSON()")
            at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            for kind in ("mousePressed", "mouseReleased"):
                page.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)
            page.call("Input.insertText", text=word)
            end = time.monotonic() + 30
            while not any(expected in link for link in page.run(found)) and time.monotonic() < end:
                time.sleep(0.1)
            pages = {urlsplit(link).path.lstrip("/") for link in page.run(found)}
            assert expected in pages, word
        asked = {event["request"]["url"] for event in page.happened("Network.requestWillBeSent")}
        assert [url for url in asked if not url.startswith((f"{address}/", "data:"))] == []
        assert page.happened("Runtime.exceptionThrown") == []
