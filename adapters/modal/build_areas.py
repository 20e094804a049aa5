"""Areas on Modal, as an example of a cloud path: each call builds one batch with ``local_h5.worker``.

What is built, how, and what came of it is the worker's business; this file only says where the files are. See README.md
beside it. Run in the project's folder: ``modal run adapters/modal/build_areas.py``.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import modal

PROJECT, OUTPUTS = "/project", "/outputs"

app = modal.App("local-h5-areas")

prepared = modal.Volume.from_name("local-h5-prepared", create_if_missing=True)
"""Holds what is in ``results/prepared``."""

outputs = modal.Volume.from_name("local-h5-areas", create_if_missing=True, version=2)
"""Receives the files; many containers write to it at once, each its own areas."""

image = (
    modal.Image.debian_slim(python_version=f"{sys.version_info.major}.{sys.version_info.minor}")
    .pip_install_from_requirements("requirements.lock", extra_options="--require-hashes")
    .env({"PYTHONPATH": f"{PROJECT}/src"})
    .add_local_dir("src/local_h5", f"{PROJECT}/src/local_h5", ignore=["**/__pycache__"])
    .add_local_dir("src/foreign_pickle", f"{PROJECT}/src/foreign_pickle", ignore=["**/__pycache__"])
    .add_local_dir("schemas", f"{PROJECT}/src/local_h5/schemas")  # a link in the sources, which mounts do not follow
    .add_local_dir("scripts", f"{PROJECT}/scripts", ignore=["**/__pycache__"])  # they count as code in fingerprints
    .add_local_dir("config", f"{PROJECT}/config")
)


@app.function(
    image=image,
    volumes={f"{PROJECT}/results/prepared": prepared.read_only(), OUTPUTS: outputs},
    cpu=1.0,
    memory=4096,
    timeout=3600,
    retries=2,
    single_use_containers=True,  # a batch is a container's whole work: nothing is mapped when the next one starts
)
def build_batch(batch: dict[str, Any], project: str = PROJECT, output: str = OUTPUTS) -> dict[str, Any]:
    """Build a batch of areas.

    Args:
        batch: work items (``schemas/work_items.schema.json``).
        project: folder with ``results/prepared``, ``config`` and ``scripts``.
        output: folder for the files.

    Returns:
        One outcome for each area (``schemas/work_result.schema.json``).
    """
    from local_h5.runs.work_items import fingerprints_here
    from local_h5.worker import WorkerState, read_items, run_areas

    results = Path("results")
    with contextlib.chdir(project):
        state = WorkerState.open(results)
        here = fingerprints_here(state)
        result = run_areas(read_items(batch, "batch"), state, Path(output), fingerprint_of=here)
    if not modal.is_local():
        outputs.commit()
    return result.to_json()


@app.local_entrypoint()
def main(results: str = "results", batches: int = 50, result: str = "worker_result.json") -> None:
    """Build every area of a planned run.

    Args:
        results: results folder of the run; its ``prepared`` is what the volume holds.
        batches: how many calls.
        result: JSON file to write, one outcome for each area.
    """
    from local_h5.files.atomic import write_text
    from local_h5.runs.work_items import planned_items
    from local_h5.worker import WorkerState, write_items
    from local_h5.worker.batches import collect, costs, split

    items = planned_items(Path(results))
    parts = split(items, costs(items, WorkerState.open(Path(results))), batches)
    answers = build_batch.map([write_items(part) for part in parts], return_exceptions=True)
    done = collect(parts, answers)
    write_text(Path(result), json.dumps(done.to_json(), indent=1) + "\n")
    for outcome in done.failed:
        print(f"{outcome.key} failed: {outcome.message}", file=sys.stderr)  # noqa: T201
    if done.failed:
        sys.exit(1)
