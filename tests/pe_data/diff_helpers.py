"""Small area files with weights, with and without a sidecar, for comparisons and publications."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pe_data.describe.beside import SIDECAR_SUFFIX
from pe_data.describe.file import Label, describe
from pe_data.names.digests import sha256_file

WEIGHTS = (10.0, 20.0, 30.0)


def write_area(path: Path, weights: "tuple[float, ...]" = WEIGHTS, *, age: float = 40, **more: Any) -> Path:
    """A household per weight with two persons in each, of whom the second is `age`; `more` are columns of persons."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(weights)
    columns: dict[str, Any] = {
        "household_id": np.arange(count),
        "household_weight": np.array(weights, dtype=np.float32),
        "tax_unit_id": np.arange(count) + 7,
        "person_id": np.arange(2 * count),
        "person_household_id": np.repeat(np.arange(count), 2),
        "person_tax_unit_id": np.repeat(np.arange(count), 2) + 7,
        "age": np.tile(np.array([30, age], dtype=np.float32), count),
        **{name: np.resize(np.asarray(values), 2 * count) for name, values in more.items()},
    }
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[f"{name}/2024"] = values
    return path


def write_sidecar(path: Path, weights: "tuple[float, ...]" = WEIGHTS, **more: Any) -> Path:
    """The sidecar of such a file, as far as it is read."""
    w = np.array(weights)
    manifest = describe(path, Label("us", "areas"))
    columns = [
        {"name": name, "entity": group.entity, "dtype": group.dtype, "periods": ["2024"]}
        for group in manifest.columns
        for name in group.names
    ]
    document: dict[str, Any] = {
        "schema_version": 2,
        "status": "completed",
        "period": 2024,
        "output": {"path": path.name, "sha256": sha256_file(path), "bytes": path.stat().st_size},
        "rows": {entity: of.rows for entity, of in manifest.entities.items()},
        "columns": columns,
        "weights": {
            "households": w.sum(),
            "persons": 2 * w.sum(),
            "effective_sample_size": w.sum() ** 2 / (w * w).sum(),
            "largest_share": w.max() / w.sum(),
        },
        "versions": {"policyengine-us": "2.0.0"},
        **more,
    }
    path.with_name(path.name + SIDECAR_SUFFIX).write_text(json.dumps(document))
    return path


def write_run(folder: Path, files: Mapping[str, "tuple[float, ...]"], **more: Any) -> Path:
    """A folder of results: each file with its sidecar."""
    for name, weights in files.items():
        write_sidecar(write_area(folder / f"{name}.h5", weights, **more), weights)
    return folder
