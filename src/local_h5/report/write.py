"""Write the report of a run: page, pictures, tables, summary."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local_h5.config.settings import Settings
from local_h5.contracts.config import REGIONAL
from local_h5.contracts.records import TargetRow
from local_h5.files.atomic import write_text
from local_h5.inputs.weights import load_weights
from local_h5.report import district_map
from local_h5.report.against import publication, what_changed
from local_h5.report.belief import Belief, read_beliefs
from local_h5.report.causes import shared_causes
from local_h5.report.charts import all_charts, nothing, standalone
from local_h5.report.collect import RunData, collect
from local_h5.report.identity import identity
from local_h5.report.page import Contents, Lines, render
from local_h5.report.tables import area_rows, target_rows, write_parquet
from local_h5.runs.steps import FIGURES

PAGE = "report.html"


def write_report(
    settings: Settings,
    folder: Path,
    checkout: Path = Path(),
    *,
    against: str | None = None,
    deep: bool = False,
    shapes: Path | None = None,
) -> Path:
    """Write the report and return the page's path.

    Args:
        settings: of the run, finished or not.
        folder: for ``report.html``, ``areas.parquet``, ``targets.parquet``, ``summary.json`` and ``figures/``.
        checkout: folder of the workflow, whose commit the page names.
        against: another run to compare with, as :func:`local_h5.report.against.what_changed` takes it. Then the page
            also says what publishing would do; for both the store is asked.
        deep: whether the comparison reads the files.
        shapes: GeoJSON with the districts' shapes, for a true map; without it, equal cells.

    Raises:
        LocalH5Error: a sidecar or record is damaged, the package or the shapes cannot be read, or a file cannot be
            written.
    """
    run = collect(settings)
    areas, targets = area_rows(run), target_rows(run)
    charts, beliefs = all_charts(run, areas, targets), _beliefs(run)
    causes, where = shared_causes(run), district_map.frame(shapes)
    change = None if against is None else what_changed(run, against, deep=deep)
    measures = district_map.measures(areas, targets, change.persons if change else {})
    page = render(
        Contents(
            run=run,
            areas=areas,
            targets=targets,
            charts=charts,
            map=district_map.on_page(measures, where, areas),
            true_shapes=shapes is not None,
            causes=causes,
            beliefs=beliefs,
            identity=identity(run, checkout),
            change=change,
            release=publication(settings) if change else [],
            hidden=_hidden(run, targets, beliefs, against),
        )
    )
    pictures = district_map.pictures(measures, where) | {name: standalone(chart) for name, chart in charts.items()}
    for name in FIGURES:
        write_text(folder / "figures" / f"{name}.svg", pictures.get(name) or standalone(nothing(name)))
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


def _hidden(
    run: RunData,
    targets: Sequence[Mapping[str, Any]],
    beliefs: Sequence[Belief] | None,
    against: str | None,
) -> Lines:
    """What the page does not have, and how to fill it."""
    hidden = []
    if against is None:
        words = "local-h5 report --against @latest, or another run's folder, or a pin"
        hidden.append(("What changed, and the digest that publishing gives", words))
    if not targets:
        hidden.append(("Targets", "none was evaluated: set validation.level: targets, and run again"))
    elif all(row["in_training"] is None for row in targets):
        hidden.append(("In training and held out", "not known: validation.training names what the calibration fitted"))
    if beliefs is None:
        words = "needs a calibration_package.pkl as inputs.geography, with X_sparse, targets_df and target_names"
        hidden.append(("The calibration's own belief", words))
    if not any(area.reference for area in run.areas):
        hidden.append(("Persons against a reference", "needs areas.districts or validation.population.table"))
    if not any(area.seconds is not None for area in run.areas):
        hidden.append(("Timings", f"Snakemake keeps them in {run.settings.layout.results}/benchmarks"))
    return hidden


def _beliefs(run: RunData) -> tuple[Belief, ...] | None:
    package = next((item for item in run.settings.packages if item.name == REGIONAL), None)
    if package is None or package.geography.suffix != ".pkl":
        return None
    rows: list[TargetRow] = [
        row for area in run.areas if (record := area.records.get("targets")) is not None for row in record.targets
    ]
    return read_beliefs(package.geography, load_weights(package.weights), rows)
