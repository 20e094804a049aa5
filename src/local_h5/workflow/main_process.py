"""What the main Snakemake process does while it reads the Snakefile, before it plans."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_h5.files import write_text
from local_h5.workflow.digests import DigestMemo
from local_h5.workflow.orders import read_plan, settle_areas, settle_steps
from local_h5.workflow.settings import Settings


def resolved_config(settings: Settings) -> Path:
    """Where the configuration of the run lies, with all overrides, for the scripts."""
    return settings.prepared / "config.json"


def validation_file(settings: Settings) -> Path:
    """Where the validation policy of the run lies: what depends on it runs again when it changes."""
    return settings.prepared / "validation.json"


def settle(settings: Settings) -> None:
    """Compare what is there with what should be, by content, and order what has to run.

    Writes only what changed. Not for dry runs, and not for the processes of remote jobs.
    """
    write_if_changed(resolved_config(settings), settings.config)
    write_if_changed(validation_file(settings), {"validation": settings.config["validation"]})
    memo = DigestMemo.open(settings.prepared / "digests.json")
    verdicts = settle_steps(settings, memo)
    if verdicts["plan"].current:
        # Else the plan job does it, when what areas depend on has been made.
        settle_areas(settings, read_plan(settings.prepared / "plan.json"), memo)
    memo.save()


def write_if_changed(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON unless the file holds it already, so that its time keeps its meaning."""
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
