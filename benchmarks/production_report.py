"""Figures of ``production.py`` as tables and a plot: their part of ``benchmarks/README.md``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from report import input_rows, machine, replace_part, table

PLOT = "production.svg"
PART = "production"
NAME, CLONES, PERSONS, BYTES, CPU, WALL, PEAK = range(7)
"""Places in the row of an area."""


def write_production(folder: Path, figures: Mapping[str, Any]) -> None:
    """Replace the generated part of the README, and draw the plot."""
    replace_part(folder / "README.md", PART, as_text(figures))
    draw(folder / PLOT, figures)


def as_text(figures: Mapping[str, Any]) -> str:
    """All tables, as Markdown."""
    summaries = [summary(run) for run in figures.values()]
    rows = [(name, *(cells[name] for cells in summaries)) for name in summaries[0]]
    return "\n\n".join(
        [
            machine(),
            f"Input: {input_rows(next(iter(figures.values()))['input'])}, blocks in all 436 districts.",
            table(("`snakemake --cores 2 all`", *(f"{name} %" for name in figures)), rows),
            f"![CPU seconds against household clones]({PLOT})",
            *(part for name, run in figures.items() for part in details(f"{name} %", run)),
        ]
    )


def summary(run: Mapping[str, Any]) -> dict[str, str]:
    """The run in a column: what was measured, with what is allowed behind a stroke."""
    areas, total = run["areas"], run["total"]
    wall = {row["name"]: row["wall"] for row in run["phases"][:2]}
    districts = [area for area in areas if area[NAME].startswith("districts/")]
    nation, sixty = areas[0], run["weights"] == "60"
    growth = exponent([area[CLONES] for area in areas], [area[CPU] for area in areas])
    alone = [(area[CLONES], run["floors"][area[NAME]]) for area in areas if area[NAME] in run["floors"]]
    clones = [count for count, _ in alone]
    large = exponent(clones, [item["job"]["cpu"] - run["start"] for _, item in alone])
    copying = exponent(clones, [floor_cpu(item) for _, item in alone])
    dry = run["dry_run"]
    return {
        "household clones with a weight": f"{nation[CLONES]:,}",
        "areas": f"{len(areas)}",
        "written, GB": f"{sum(area[BYTES] for area in areas) / 1e9:.2f}",
        "prepare, wall s": allowed(f"{wall['prepare']:.0f}", None if sixty else "120"),
        "plan and all areas, wall s": allowed(f"{wall['areas']:.0f}", None if sixty else "360"),
        "total, wall s": allowed(f"{total['wall']:.0f}", "1,500" if sixty else None),
        "total, CPU-s": f"{total['cpu']:.0f}",
        "of it kernel": f"{total['kernel']:.0f}",
        "memory of all processes at one time, MB": f"{total['private_mb']:,.0f}",
        "nation, peak MB": allowed(f"{nation[PEAK]:,.0f}", "8,000" if sixty else "1,500"),
        "largest district, peak MB": allowed(f"{max(area[PEAK] for area in districts):,.0f}", None if sixty else "300"),
        "district in a process that stays, CPU-s (median)": f"{np.median([area[CPU] for area in districts]):.2f}",
        "exponent of CPU against clones": allowed(f"{growth:.2f}", "1.1"),
        "of the eleven largest areas": allowed(f"{large:.2f}", "1.1"),
        "of copying and hashing their files": f"{copying:.2f}",
        "`snakemake -n all`, nothing to do, CPU-s": allowed(f"{dry['nothing to do']['cpu']:.1f}", "4"),
        "`snakemake -n all`, all stale, CPU-s": f"{dry['all stale']['cpu']:.1f}",
        "making the input, CPU-s": f"{run['generator']['cpu']:.0f}",
    }


def allowed(value: str, limit: str | None) -> str:
    return value if limit is None else f"**{value}** / {limit}"


def exponent(clones: Sequence[int], cpu: Sequence[float]) -> float:
    """Of CPU-s against clones, by least squares on logarithms."""
    return float(np.polyfit(np.log(clones), np.log(np.maximum(cpu, 1e-3)), 1)[0])


def details(name: str, run: Mapping[str, Any]) -> list[str]:
    """Tables of one run."""
    kinds = run["phases"][2:]
    known = sum(row["cpu"] for row in kinds)
    rest = run["total"]["cpu"] - known
    spent = [
        (
            f"`{row['name']}`",
            f"{row['processes']:,}",
            f"{row['cpu']:.1f}",
            f"{row['cpu'] / row['processes']:.3f}",
            f"{row['wall']:.1f}",
            f"{row['peak_mb']:,.0f}",
        )
        for row in kinds
    ]
    spent.append(("starts of the processes that stay, approvals, shells", "", f"{rest:.1f}", "", "", ""))
    return [
        f"### {name}",
        "Where the CPU goes:",
        table(("process", "how many", "CPU-s", "CPU-s each", "longest, wall s", "most MB"), spent),
        "The largest areas once more, each as a process, in turn with copying and hashing its bytes; the least of "
        f"three. The ratio is the median of three, without {run['start']:.2f} CPU-s of start-up; 2.5 allowed at 60 %:",
        table(
            (
                "area",
                "clones",
                "persons",
                "file MB",
                "CPU-s",
                "of it kernel",
                "wall s",
                "peak MB",
                "floor, CPU-s",
                "ratio",
            ),
            [against_floor(area, run) for area in run["areas"] if area[NAME] in run["floors"]],
        ),
        "Plain loops (`loop_baseline.py`), the median district and the median state:",
        table(
            (
                "area",
                "clones",
                "area job, CPU-s",
                "loops, CPU-s",
                "ratio",
                "area job, MB",
                "loops, MB",
                "equal columns",
            ),
            [against_loops(item, run) for item in run["loops"]],
        ),
    ]


def against_floor(area: list[Any], run: Mapping[str, Any]) -> tuple[str, ...]:
    alone = run["floors"][area[NAME]]
    job = alone["job"]
    return (
        area[NAME],
        f"{area[CLONES]:,}",
        f"{area[PERSONS]:,}",
        f"{area[BYTES] / 1e6:,.1f}",
        f"{job['cpu']:.2f}",
        f"{job['kernel']:.2f}",
        f"{job['wall']:.2f}",
        f"{job['peak_mb']:,.0f}",
        f"{floor_cpu(alone):.2f}",
        f"{np.median([(job - run['start']) / beyond(floor, alone) for job, floor in alone['pairs']]):.2f}",
    )


def floor_cpu(alone: Mapping[str, Any]) -> float:
    """CPU-s of copying and hashing, without starting."""
    return beyond(alone["floor"]["cpu"], alone)


def beyond(cpu: float, alone: Mapping[str, Any]) -> float:
    """CPU-s of copying and hashing beyond those of its start."""
    return float(max(cpu - alone["floor_start"], 1e-3))


def against_loops(item: Mapping[str, Any], run: Mapping[str, Any]) -> tuple[str, ...]:
    area = next(area for area in run["areas"] if area[NAME] == item["area"])
    job = item["job"]
    return (
        item["area"],
        f"{area[CLONES]:,}",
        f"{job['cpu']:.2f}",
        f"{item['cpu']:.1f}",
        f"{item['cpu'] / job['cpu']:.0f}",
        f"{job['peak_mb']:,.0f}",
        f"{item['peak_mb']:,.0f}",
        f"{item['equal_columns']}",
    )


def draw(path: Path, figures: Mapping[str, Any]) -> None:
    mpl.rcParams["svg.hashsalt"] = PART  # equal figures give an equal file
    figure, axes = plt.subplots(figsize=(7, 4))
    for (name, run), colour in zip(figures.items(), ("tab:blue", "tab:orange"), strict=False):
        areas = run["areas"]
        axes.plot(
            [area[CLONES] for area in areas], [area[CPU] for area in areas], ".", color=colour, label=f"areas, {name} %"
        )
        clones = {area[NAME]: area[CLONES] for area in areas}
        floors = [(clones[name], floor_cpu(alone)) for name, alone in run["floors"].items()]
        axes.plot(*zip(*floors, strict=True), "_", color=colour, label=f"copying and hashing, {name} %")
        plain = [(clones[item["area"]], item["cpu"]) for item in run["loops"]]
        axes.plot(*zip(*plain, strict=True), "^", color=colour, label=f"plain loops, {name} %")
    axes.set(xscale="log", yscale="log", xlabel="household clones", ylabel="CPU seconds")
    axes.grid(which="both", color="0.9")
    axes.legend(fontsize="small")
    figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
