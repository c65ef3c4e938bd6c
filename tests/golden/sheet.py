"""Contact sheets of the golden curves, to judge them by eye: `python -m tests.golden.sheet FOLDER`."""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from tests.golden.runs import FILE

COLUMNS, ROWS = 4, 5


def main(folder: Path) -> None:
    runs = json.loads(FILE.read_text())
    for start in range(0, len(runs), COLUMNS * ROWS):
        figure = Figure((20, 22), 60, layout="constrained")
        grid = figure.subplots(ROWS, COLUMNS).flatten()
        for axes, run in zip(grid, runs[start : start + COLUMNS * ROWS], strict=False):
            epochs = run["epochs"]
            for name, colour in (("train_loss", "orange"), ("train_loss_clean", "green"), ("val_loss", "blue")):
                axes.plot(epochs["epoch"], [v if v is not None else float("nan") for v in epochs[name]], color=colour)
            other = axes.twinx()
            other.plot(epochs["epoch"], epochs["val_accuracy"], color="grey", linestyle=":")
            last = epochs["train_loss_clean"][-1]
            axes.set_title(
                f"{run['set_up']} {run['seed']} n={run['facts']['images']['validation']} clean={last}", fontsize=11
            )
        figure.savefig(folder / f"sheet{start // (COLUMNS * ROWS)}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
