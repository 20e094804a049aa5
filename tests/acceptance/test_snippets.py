"""The blocks of README and docs, as they stand, on a finished run: `make all`, then `pytest -m run`.

They are run in the project's folder, page by page and in order, with a store and a cache of the test's own. What they
write goes into `build/`, which is not kept.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snippets import PAGES, ROOT, RUN_ELSEWHERE, RUNNABLE, Snippet, read_pages

pytestmark = pytest.mark.run

RUN = [s for s in read_pages() if s.kind in RUNNABLE and s.reason is None and s.page not in RUN_ELSEWHERE]

DRAWN = {
    picture
    for picture in ROOT.glob("docs/images/*.svg")
    if any(snippet.kind == "python" and picture.name in snippet.text for snippet in RUN)
}
"""Pictures that a page draws."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PE_DATA_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OPENBLAS_NUM_THREADS": "1",
        "PE_DATA_STORE": str(folder / "store"),
        "PE_DATA_CACHE": str(folder / "cache"),
        "PE_DATA_CONFIG": str(folder / "none.toml"),
    }


def test_blocks_are_found() -> None:
    assert {"README.md", "docs/storage.md", "docs/validation.md", "docs/worker.md"} <= {s.page for s in RUN}
    assert len(PAGES) > 10
    assert {picture.name for picture in DRAWN} == {"earnings-by-district.svg"}


@pytest.mark.parametrize("snippet", RUN, ids=lambda snippet: snippet.place)
def test_a_block_runs_as_pasted(snippet: Snippet, environment: dict[str, str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    command = (
        [bash, "-euo", "pipefail", "-c"]
        if snippet.kind == "sh"
        else [sys.executable, "-W", "error::SyntaxWarning", "-c"]
    )
    before = set(ROOT.iterdir())
    (ROOT / "build").mkdir(exist_ok=True)
    done = subprocess.run(
        [*command, snippet.text], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{snippet.place}\n{done.stdout}"
    assert "Traceback" not in done.stdout, done.stdout
    assert set(ROOT.iterdir()) - before <= {ROOT / "build"}, f"{snippet.place}: leaves files in the project's folder"


@pytest.mark.parametrize("picture", sorted(DRAWN), ids=lambda picture: picture.name)
def test_a_picture_is_what_its_lines_draw(picture: Path) -> None:
    """After the page: the lines under it wrote the same picture into build/."""
    drawn = ROOT / "build" / picture.name
    assert drawn.read_bytes() == picture.read_bytes(), f"it shows another run: cp {drawn} {picture}"


def test_the_pages_leave_the_run_as_it_was(environment: dict[str, str]) -> None:
    """What a reader pastes makes no file of the run stale, and takes no approval away."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "all"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stdout + done.stderr, done.stdout
