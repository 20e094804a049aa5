"""Write the report of a run: page, figures, tables, summary."""

import json
from dataclasses import asdict
from pathlib import Path

from local_h5.config.settings import REGIONAL, Settings
from local_h5.contracts.records import TargetRow
from local_h5.files.atomic import write_text
from local_h5.inputs.weights import load_weights
from local_h5.report.belief import Belief, read_beliefs
from local_h5.report.causes import shared_causes
from local_h5.report.collect import RunData, collect
from local_h5.report.figures import all_figures
from local_h5.report.identity import identity
from local_h5.report.page import render
from local_h5.report.tables import area_rows, target_rows, write_parquet

PAGE = "report.html"


def write_report(settings: Settings, folder: Path, checkout: Path = Path()) -> Path:
    """Write the report and return the page's path.

    Args:
        settings: of the run, finished or not.
        folder: for ``report.html``, ``areas.parquet``, ``targets.parquet``, ``summary.json`` and ``figures/``.
        checkout: folder of the workflow, whose commit the page names.

    Raises:
        LocalH5Error: a sidecar or record is damaged, the package cannot be read, a file cannot be written.
    """
    run = collect(settings)
    areas, targets = area_rows(run), target_rows(run)
    figures = all_figures(run, areas, targets)
    causes = shared_causes(run)
    page = render(run, areas, targets, figures, causes, _beliefs(run), identity(run, checkout))
    for name, figure in figures.items():
        write_text(folder / "figures" / f"{name}.svg", figure)
    write_parquet(folder / "areas.parquet", areas)
    write_parquet(folder / "targets.parquet", targets)
    summary = {
        "areas": len(areas),
        "status": {
            status: sum(row["status"] == status for row in areas) for status in sorted({r["status"] for r in areas})
        },
        "not_releasable": {area.key: list(area.refused) for area in run.areas if area.refused},
        "shared_causes": [asdict(cause) for cause in causes],
        "targets": len(targets),
        "targets_failing": sum(row["verdict"] == "failed" for row in targets),
    }
    write_text(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    write_text(folder / PAGE, page)
    return folder / PAGE


def _beliefs(run: RunData) -> tuple[Belief, ...] | None:
    package = next((item for item in run.settings.packages if item.name == REGIONAL), None)
    if package is None or package.geography.suffix != ".pkl":
        return None
    rows: list[TargetRow] = [
        row for area in run.areas if (record := area.records.get("targets")) is not None for row in record.targets
    ]
    return read_beliefs(package.geography, load_weights(package.weights), rows)
