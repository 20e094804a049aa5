"""A run as two tables: a row per area, and a row per target of an area."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from local_h5.errors import WriteError
from local_h5.files.atomic import atomic_output
from local_h5.report.collect import Area, RunData
from pe_data.read.weighted import SMALL


def area_rows(run: RunData) -> list[dict[str, Any]]:
    """One row per area; numbers are None where they do not exist."""
    return [_area_row(area) for area in run.areas]


def _area_row(area: Area) -> dict[str, Any]:
    sidecar, record = area.sidecar, area.records.get("targets")
    weights = sidecar.weights if sidecar else None
    size = weights.effective_sample_size if weights else None
    coverage = sorted(sidecar.coverage.items()) if sidecar else ()
    return {
        "area_type": area.request.area_type,
        "area_id": area.request.area_id,
        "name": area.request.display_name,
        "status": area.status,
        "releasable": not area.refused,
        "n_targets": record.summary.n_targets if record else 0,
        "n_failing": record.summary.n_failing if record else 0,
        "mean_abs_rel_error": record.summary.mean_abs_rel_error if record else None,
        "mean_abs_rel_error_training": record.summary.mean_abs_rel_error_training if record else None,
        "mean_abs_rel_error_holdout": record.summary.mean_abs_rel_error_holdout if record else None,
        "persons": area.persons,
        "reference_population": area.reference,
        "population_error": area.population_error,
        "households": weights.households if weights else None,
        "household_rows": sidecar.rows["household"] if sidecar else None,
        "effective_sample_size": size,
        "small_sample": None if size is None else size < SMALL,
        "largest_share": weights.largest_share if weights else None,
        "seconds": area.seconds,
        "coverage": ", ".join(f"{name} {share:.0%}" for name, share in coverage),
        "reasons": "; ".join(area.reasons),
    }


def target_rows(run: RunData) -> list[dict[str, Any]]:
    """One row per evaluated target of every area."""
    return [
        {
            "area_type": area.request.area_type,
            "area_id": area.request.area_id,
            "family": family(asdict(row)),
            **asdict(row),
        }
        for area in run.areas
        if (record := area.records.get("targets")) is not None
        for row in record.targets
    ]


def family(row: Mapping[str, Any]) -> str:
    """Variable and the variables of its stratum. Targets of a family differ in a band or a place."""
    names = sorted({part.split(" ")[0] for part in row["constraints"].split(", ") if part})
    reform = " (reform)" if row["reform"] else ""
    return f"{row['variable']}{' by ' + ', '.join(names) if names else ''}{reform}"


_TARGET_COLUMNS = (
    "area_type", "area_id", "family", "target_id", "stratum", "variable", "period", "reform", "constraints", "target",
    "value", "error", "relative_error", "in_training", "sane", "verdict", "reason",
)  # fmt: skip


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = _TARGET_COLUMNS) -> None:
    """Write rows as Parquet, with the given columns even when there is no row.

    Raises:
        WriteError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise WriteError(f"{path}: expected pyarrow, found {error}. Install the extra 'frames' of local-h5.") from error
    table = pa.table({name: [row[name] for row in rows] for name in (rows[0] if rows else columns)})
    with atomic_output(path) as temporary:
        pq.write_table(table, temporary)
