"""The results as a picture: `python -m tests.benchmarks.chart RESULTS.json PICTURE.png`."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from tests.benchmarks.summary import US, US_FP32

OURS, BAR, THEIRS, INK = "#2f9e73", "#8a8f98", "#b9c4d0", "#22262b"
BARE = "bare"  # no product, but the bar to beat
ROW, HEAD = 0.34, 0.95  # inches a contestant, and for the title and axis of a panel
MEASURES = (
    ("images_per_second", "training images/s (longer is better)", "{:,.0f}"),
    ("seconds", "whole process, s (shorter is better)", "{:.1f}"),
)


def draw(results: dict[str, Any], target: Path) -> None:
    tables = results["tables"]
    heights = [len(rows) * ROW + HEAD for rows in tables.values()]
    top = 1.0
    height = sum(heights) + top
    mpl.rcParams.update({"font.size": 10, "text.color": INK, "axes.labelcolor": INK, "ytick.color": INK})
    figure, grid = plt.subplots(len(tables), 2, figsize=(12, height), squeeze=False, height_ratios=heights)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - top * 0.72 / height), h_pad=0.12, w_pad=0.12)
    figure.suptitle(
        "The same training job, start to finish", x=0.012, y=1 - 0.14 / height, ha="left", va="top", size=15
    )
    figure.text(0.012, 1 - 0.48 / height, _subtitle(results), ha="left", va="top", size=9.5, color="#5b626b")
    for (title, rows), panels in zip(tables.items(), grid, strict=True):
        for (measure, label, form), axes in zip(MEASURES, panels, strict=True):
            _bars(axes, rows, measure, form)
            axes.set_xlabel(label)
        panels[0].set_title(title, loc="left", size=12, weight="bold")
    figure.savefig(target, dpi=150)
    plt.close(figure)


def _subtitle(results: dict[str, Any]) -> str:
    return (
        f"{results['device']}, {results['threads']} threads, torch {results['torch']}, {results['date']}; "
        f"rounds: {results['rounds']}, interleaved; bars are medians, whiskers go from the least to the most"
    )


def _bars(axes: Any, rows: list[dict[str, Any]], measure: str, form: str) -> None:
    names = [row["name"] for row in rows]
    medians = [row[measure]["median"] for row in rows]
    below = [row[measure]["median"] - row[measure]["least"] for row in rows]
    above = [row[measure]["most"] - row[measure]["median"] for row in rows]
    colours = [{US: OURS, US_FP32: OURS, BARE: BAR}.get(name, THEIRS) for name in names]
    places = range(len(rows))
    axes.barh(places, medians, color=colours, height=0.72)
    axes.errorbar(medians, places, xerr=[below, above], fmt="none", ecolor=INK, elinewidth=1, capsize=2.5)
    room = max(row[measure]["most"] for row in rows)
    for place, row in zip(places, rows, strict=True):
        text = form.format(row[measure]["median"])
        weight = "bold" if row["name"] == US else "normal"
        axes.text(row[measure]["most"] + room * 0.015, place, text, va="center", weight=weight)
    axes.set_yticks(places, names)
    for label in axes.get_yticklabels():
        if label.get_text() == US:
            label.set_weight("bold")
    axes.invert_yaxis()
    axes.set_xlim(0, room * 1.14)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text()), target)


if __name__ == "__main__":
    main()
