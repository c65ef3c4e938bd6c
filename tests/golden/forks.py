"""Do the cures cure? Real overfitting runs through the service, their first two pieces of advice forked, over five
seeds: `python -m tests.golden.forks` writes cures.md.
"""

import io
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import httpx
import numpy as np
from sklearn.datasets import load_digits

from service.client import Rightfit
from service.core.settings import Settings
from service.stack.standalone import Stack
from tests.golden.paired import spread

Json = dict[str, Any]

FILE = Path(__file__).parent / "cures.md"
SEEDS = range(11, 16)
RANKS = ("first", "second")
CNN = {"arch": "cnn", "channels": [8, 16], "hidden": [32]}


@dataclass(frozen=True)
class SetUp:
    """A spec that overfits, and how many of the digits it gets (None: all), with which share of wrong labels."""

    spec: dict[str, Any]
    images: int | None = None
    wrong: float = 0.0


SET_UPS = {
    "100 of the digits, a cnn": SetUp(
        {"dataset": {"id": "digits", "train_limit": 100}, "model": CNN, "optimizer": {"lr": 3e-3}, "epochs": 80}
    ),
    "250 images in all, a cnn": SetUp(
        {"dataset": {"val_fraction": 0.4}, "model": CNN, "optimizer": {"lr": 3e-3}, "epochs": 80}, images=250
    ),
    "250 images in all, small batches, large steps": SetUp(
        {
            "dataset": {"val_fraction": 0.4},
            "model": {"arch": "cnn", "channels": [16, 32], "hidden": [64]},
            "optimizer": {"lr": 1e-2},
            "batch_size": 16,
            "epochs": 60,
        },
        images=250,
    ),
    "a fifth of the labels wrong, an mlp": SetUp(
        {
            "dataset": {"val_fraction": 0.3},
            "model": {"arch": "mlp", "hidden": [128]},
            "optimizer": {"lr": 3e-3},
            "epochs": 60,
        },
        images=800,
        wrong=0.2,
    ),
    "one label in twenty wrong, a wide mlp": SetUp(
        {
            "dataset": {"val_fraction": 0.4},
            "model": {"arch": "mlp", "hidden": [256, 256]},
            "optimizer": {"lr": 3e-3},
            "epochs": 80,
        },
        images=700,
        wrong=0.05,
    ),
}


def uploaded(url: str, set_up: SetUp) -> str:
    """The id of a data set of some of the digits, sent and read."""
    random = np.random.default_rng(5)
    pixels, labels = load_digits(return_X_y=True)
    chosen = random.permutation(len(labels))[: set_up.images]
    x, y = (pixels[chosen] * 255 / 16).round().astype("uint8").reshape(-1, 8, 8), labels[chosen].copy()
    wrong = random.random(len(y)) < set_up.wrong
    y[wrong] = random.integers(0, 10, int(wrong.sum()))
    body = io.BytesIO()
    np.savez(body, x=x, y=y)
    headers = {"Content-Type": "application/x-npz"}
    sent = httpx.post(f"{url}/v1/datasets?name=golden", content=body.getvalue(), headers=headers, timeout=60).json()
    while (dataset := httpx.get(f"{url}/v1/datasets/{sent['id']}").json())["status"] == "processing":
        pass
    assert dataset["status"] == "ready", dataset
    return str(sent["id"])


def width_ratio(client: Rightfit, base: Json, cured: Json) -> float | None:
    """The width of the paired interval of a fork's difference from its parent, as a multiple of that of two samples.

    None if the two have other validation images.
    """
    (difference,) = client.compare([base["id"], cured["id"]])["differences"]
    if not difference["paired"]:
        return None
    unpaired = math.hypot(*(job["best"]["val_loss_se"] for job in (base, cured)))
    return float(difference["standard_error"]) / unpaired


def tried(client: Rightfit, url: str, name: str, ratios: list[float | None]) -> list[str]:
    """Rows of the table: what the first and the second advice did to the best validation loss. Adds to the `ratios` of
    the intervals.
    """
    set_up = SET_UPS[name]
    data = set_up.spec["dataset"]
    if set_up.images:
        data = data | {"id": uploaded(url, set_up)}
    differences: dict[str, list[float]] = {rank: [] for rank in RANKS}
    advised: dict[str, list[str]] = {rank: [] for rank in RANKS}
    verdicts, before = [], []
    for seed in SEEDS:
        job = client.submit(set_up.spec | {"dataset": data, "seed": seed, "early_stopping": None})
        base = client.wait(job["id"])
        diagnosis = httpx.get(f"{url}{base['links']['diagnosis']}").json()
        verdicts.append(diagnosis["verdict"])
        before.append(base["best"]["val_loss"])
        for rank, advice in zip(RANKS, [a for a in diagnosis["advice"] if a["patch"]], strict=False):
            forked = httpx.post(f"{url}{base['links']['fork']}", json={"advice": advice["id"]}).json()
            cured = client.wait(forked["id"])
            advised[rank].append(advice["id"])
            differences[rank].append(cured["best"]["val_loss"] - base["best"]["val_loss"])
            ratios.append(width_ratio(client, base, cured))
    rows = []
    for rank in RANKS:
        mean, off = spread(differences[rank])
        outcome = "lowers it" if mean + off < 0 else "raises it" if mean - off > 0 else "no difference beyond noise"
        rows.append(
            f"| {name} | {counted(verdicts)} | {fmean(before):.3f} | {rank}: {counted(advised[rank])} "
            f"| {mean:+.3f} ({mean - off:+.3f} to {mean + off:+.3f}) | {outcome} |"
        )
        print(rows[-1], flush=True)
    return rows


def counted(words: list[str]) -> str:
    return ", ".join(f"{word} ({words.count(word)})" for word in dict.fromkeys(words))


def of_intervals(ratios: list[float | None]) -> str:
    """A sentence on the widths of the paired intervals."""
    known = [ratio for ratio in ratios if ratio is not None]
    return (
        f"Of {len(ratios)} forks, {len(known)} were scored on the images of their parents. Compared image by image, "
        "the interval of the difference is not wider than the one of two samples in "
        f"{sum(r <= 1 for r in known)} of them; "
        f"the median of its width is {median(known):.2f} of it."
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": home}), port=0)
        with Stack(settings) as stack, Rightfit(stack.url) as client:
            ratios: list[float | None] = []
            rows = [row for name in SET_UPS for row in tried(client, stack.url, name, ratios)]
    FILE.write_text(
        "The effect of the first two pieces of advice: the best validation loss of the fork minus that of its parent, "
        f"the mean over {len(SEEDS)} seeds with the 95 % interval of Student's t. Made by "
        "`python -m tests.golden.forks`.\n\n"
        "| run | verdicts | best val_loss | advice | change of val_loss | outcome |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\n{of_intervals(ratios)}\n"
    )


if __name__ == "__main__":
    main()
