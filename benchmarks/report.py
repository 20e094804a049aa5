"""Figures of ``area_job.py`` as tables and a plot: the generated part of ``benchmarks/README.md``."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import h5py
import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

PART = "figures"
PLOT = "area_job.svg"


def write_report(folder: Path, figures: dict[str, Any]) -> None:
    """Replace the generated part of the README, and draw the plot."""
    start = figures["start"]["importing all that an area job imports"]["cpu"]
    district = figures["areas"][0]["cost"]["cpu"]
    exponent, per_clone = fit(figures["scale"], start)
    beyond, _ = fit(figures["scale"], district)
    text = "\n\n".join(
        [
            machine(),
            input_words(figures["input"]),
            "Area jobs, as whole processes:",
            table(
                (
                    "area",
                    "household clones",
                    "persons",
                    "CPU-s",
                    "allowed",
                    "of it kernel",
                    "wall s",
                    "peak MB",
                    "allowed",
                    "file MB",
                ),
                (area_row(item) for item in figures["areas"]),
            ),
            f"![CPU seconds against household clones]({PLOT})",
            f"CPU without start-up ({start:.2f} s) grows with the clones to the power of **{exponent:.2f}**, without "
            f"all that a small district costs ({district:.2f} s) to the power of **{beyond:.2f}** (least squares on "
            f"logarithms); {per_clone * 1e6:.1f} µs a clone at 1 M. The kernel's part is mostly writing the file, "
            "and grows faster than the file:",
            table(
                ("area", "household clones", "persons", "CPU-s", "of it kernel", "wall s", "peak MB", "file MB"),
                (
                    [cell for place, cell in enumerate(area_row(item)) if place not in (4, 8)]
                    for item in figures["scale"]
                ),
            ),
            "Against the plain way (`loop_baseline.py`), in turn:",
            table(
                ("area", "area job, CPU-s", "loops, CPU-s", "ratio", "area job, MB", "loops, MB", "equal columns"),
                (baseline_row(item) for item in figures["baseline"]),
            ),
            "Start-up, steps before the areas (once for a source, a geography, or weights), and the plan:",
            table(
                ("process", "CPU-s", "wall s", "peak MB"),
                (
                    (name, f"{cost['cpu']:.2f}", f"{cost['wall']:.2f}", f"{cost['peak_mb']:.0f}")
                    for name, cost in {**figures["start"], **figures["steps"]}.items()
                ),
            ),
        ]
    )
    replace_part(folder / "README.md", PART, text)
    draw(folder / PLOT, figures, start, exponent)


def replace_part(readme: Path, name: str, text: str) -> None:
    """Replace what lies between the two marks of a part."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = readme.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    readme.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def machine() -> str:
    """The machine in words, and the versions that matter."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{platform.system()} ({platform.machine()}), {os.cpu_count()} cores and {memory:.0f} GB of memory, "
        f"Python {platform.python_version()}, numpy {np.__version__}, h5py {h5py.__version__}."
    )


def input_rows(facts: dict[str, Any]) -> str:
    rows = facts["rows"]
    total = rows["household"] * facts["clones"]
    return (
        f"{rows['household']:,} households ({rows['person']:,} persons) x {facts['clones']} clones = {total:,}, "
        f"{facts['variables']} source variables over {len(rows)} entities"
    )


def input_words(facts: dict[str, Any]) -> str:
    active = facts["active"]
    return (
        f"Input: {input_rows(facts)}, blocks in all 436 districts; "
        f"{active['3']:,} positive weights (3 %), {active['60']:,} (60 %), {active['national']:,} for the nation alone."
    )


def area_row(item: dict[str, Any]) -> list[str]:
    cost = item["cost"]
    cpu_allowed, mb_allowed = item["cpu_allowed"], item["mb_allowed"]
    return [
        item["name"],
        f"{item['clones']:,}",
        f"{item['persons']:,}",
        f"{cost['cpu']:.2f}",
        "" if cpu_allowed is None else f"{cpu_allowed}",
        f"{cost['kernel']:.2f}",
        f"{cost['wall']:.2f}",
        f"{cost['peak_mb']:,.0f}",
        "" if mb_allowed is None else f"{mb_allowed:,}",
        f"{item['bytes'] / 1e6:,.1f}",
    ]


def baseline_row(item: dict[str, Any]) -> list[str]:
    job, loop = item["job"], item["loop"]
    return [
        item["name"],
        f"{job['cpu']:.2f}",
        f"{loop['cpu']:.1f}",
        f"{loop['cpu'] / job['cpu']:.0f}",
        f"{job['peak_mb']:,.0f}",
        f"{loop['peak_mb']:,.0f}",
        f"{item['equal_columns']}",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fit(scale: Sequence[dict[str, Any]], start: float) -> tuple[float, float]:
    """Exponent of CPU against clones without start-up, and CPU-s per clone of the largest area."""
    clones = np.array([item["clones"] for item in scale], dtype=float)
    cpu = np.array([item["cost"]["cpu"] for item in scale]) - start
    exponent, _ = np.polyfit(np.log(clones), np.log(cpu), 1)
    return float(exponent), float(cpu[-1] / clones[-1])


def draw(path: Path, figures: dict[str, Any], start: float, exponent: float) -> None:
    mpl.rcParams["svg.hashsalt"] = "area_job"  # equal figures give an equal file
    figure, axes = plt.subplots(figsize=(7, 4))
    for label, items, marker in (("area jobs", figures["areas"], "o"), ("scale", figures["scale"], "s")):
        axes.plot(
            [item["clones"] for item in items], [item["cost"]["cpu"] for item in items], marker, label=label, alpha=0.8
        )
    clones = np.array([item["clones"] for item in figures["scale"]], dtype=float)
    last = figures["scale"][-1]["cost"]["cpu"] - start
    line = np.geomspace(100, clones[-1] * 3.2, 100)
    axes.plot(line, start + last * (line / clones[-1]) ** exponent, "-", color="0.6", label=f"exponent {exponent:.2f}")
    sizes = {item["name"].split(",")[0]: item["clones"] for item in reversed(figures["areas"])}
    axes.plot(
        [sizes[item["name"]] for item in figures["baseline"]],
        [item["loop"]["cpu"] for item in figures["baseline"]],
        "^",
        color="tab:red",
        label="loops",
    )
    axes.set(xscale="log", yscale="log", xlabel="household clones", ylabel="CPU seconds of the whole process")
    axes.grid(which="both", color="0.9")
    axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
