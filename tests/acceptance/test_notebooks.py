"""The notebooks of `examples/`, on a finished run: `make all`, then `pytest -m run`."""

from pathlib import Path

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.run

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("examples/*.ipynb"))


def test_notebooks_are_found() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("folder", ["", "examples"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, folder: str) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / folder)}}).execute()
    printed = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in printed)
