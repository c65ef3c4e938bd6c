"""Runs of set-ups drawn at random, to calibrate the rules on: `python -m tests.golden.world COUNT` trains more of them.

The pictures are digits, shapes drawn by code, and clothes where the system has Debian's package of them. drawn.py has
the verdicts, by rules from how a run was made and how it went on.
"""

import gzip
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from service.core.errors import RightfitError
from service.core.records.epoch import Epoch
from service.core.spec import JobSpec
from tests.golden import training
from workers.training.data.digits import load as load_digits
from workers.training.data.images import ImageSet
from workers.training.facts import facts
from workers.training.state import EpochResult

FILE = Path(__file__).parent / "world.json"
CLOTHES = Path("/usr/share/datasets/fashion-mnist")
SIDE = 12  # pixels of a drawn shape
MOST_STEPS = {"mlp": 2500, "cnn": 900}  # of the optimizer: a run has as many epochs as they make
EPOCHS = (16, 30, 60, 90)
KEPT = ("train_loss", "train_loss_clean", "val_loss", "train_accuracy", "val_accuracy", "val_loss_se", "val_change_se")
DIGITS = 4  # significant, of a stored number


def shapes(r: random.Random, images: int) -> ImageSet:
    """Stripes of several directions and widths under noise. More noise makes the classes harder to tell apart."""
    classes, noise = r.choice([2, 3, 6, 12]), r.choice([0.3, 0.8, 1.5])
    random_state = torch.Generator().manual_seed(r.getrandbits(32))
    labels = torch.arange(images) % classes
    across = torch.arange(SIDE).float()
    angle, width = math.pi * labels / classes, 1.0 + labels % 2
    phase = 2 * math.pi * torch.rand(images, generator=random_state)
    slope = torch.stack((angle.cos(), angle.sin()))[:, :, None, None]
    wave = (slope[0] * across[:, None] + slope[1] * across) / width[:, None, None] + phase[:, None, None]
    pixels = wave.sin() + noise * torch.randn(images, SIDE, SIDE, generator=random_state)
    stored = (127 + 60 * pixels).clamp(0, 255).to(torch.uint8)[:, None]
    return ImageSet(stored, labels, tuple(f"stripes {i}" for i in range(classes)))


def fashion() -> tuple[torch.Tensor, torch.Tensor]:
    """Fashion-MNIST's test pictures (Xiao et al., 2017): uint8 [10000, 1, 28, 28], and their labels."""
    pixels = gzip.decompress(next(CLOTHES.glob("t10k-images*")).read_bytes())[16:]
    labels = gzip.decompress(next(CLOTHES.glob("t10k-labels*")).read_bytes())[8:]
    pictures, known = (torch.frombuffer(bytearray(each), dtype=torch.uint8) for each in (pixels, labels))
    return pictures.view(-1, 1, 28, 28), known.long()


def clothes(r: random.Random, images: int) -> ImageSet:
    """Some of Fashion-MNIST's test pictures, of half the width."""
    stored, labels = fashion()
    chosen = torch.tensor(r.sample(range(10_000), images))
    halved = stored[chosen, :, ::2, ::2].contiguous()
    return ImageSet(halved, labels[chosen], tuple(f"clothes {i}" for i in range(10)))


def digits(r: random.Random, images: int) -> ImageSet:
    """Some of scikit-learn's digits, at times of two or four classes only."""
    every, classes = load_digits(), r.choice([10, 10, 4, 2])
    kept = [i for i, label in enumerate(every.labels.tolist()) if label < classes]
    chosen = torch.tensor(r.sample(kept, min(images, len(kept))))
    return ImageSet(every.stored[chosen], every.labels[chosen], every.classes[:classes])


def pictures(r: random.Random, made: dict[str, Any]) -> ImageSet:
    """The images of a set-up, with the damage that `made` names."""
    source = r.choice([digits, digits, shapes, clothes if CLOTHES.exists() else shapes])
    images = mislabelled(r, source(r, r.choice([120, 200, 300, 500, 900])), made["wrong"])
    labels, kept = images.labels, list(range(len(images)))
    if made["rare"]:
        kept = [i for i in kept if labels[i] == 0 or r.random() < made["rare"]]
    if made["copied"]:
        kept = kept[: len(kept) // 3] * 3
    r.shuffle(kept)
    return replace(images, stored=images.stored[kept], labels=images.labels[kept])


def mislabelled(r: random.Random, images: ImageSet, share: float) -> ImageSet:
    """The images, of which a share have labels drawn at random."""
    labels = images.labels.clone()
    if share:
        for i in range(len(labels)):
            if r.random() < share:
                labels[i] = r.randrange(len(images.classes))
    return replace(images, labels=labels, known_digest=None)


def damage(r: random.Random) -> dict[str, Any]:
    """What is wrong with the data, of the kinds that a run cannot be blamed for."""
    kind = r.choices(("none", "wrong", "copied", "rare"), (10, 4, 1, 2))[0]
    return {
        "wrong": r.choice([0.1, 0.2, 0.4, 1.0]) if kind == "wrong" else 0.0,
        "copied": kind == "copied",
        "rare": r.choice([0.05, 0.2]) if kind == "rare" else 0.0,
    }


def settings(r: random.Random) -> dict[str, Any]:
    """A spec, as plain data: sizes, rates and regularization drawn widely."""
    norm = r.choice(["none", "none", "batch"])
    model = r.choice(
        [
            {"arch": "mlp", "hidden": r.choice([[2], [8], [64], [128], [256, 128], [256, 128]])},
            {"arch": "cnn", "channels": r.choice([[1, 2], [4, 8], [8, 16]]), "hidden": [32], "norm": norm},
        ]
    )
    name = r.choice(["adam", "adam", "adamw", "sgd"])
    usual = 0.05 if name == "sgd" else 2e-3
    lr = usual * r.choices((1e-3, 0.03, 0.3, 1.0, 3.0, 15.0, 100.0), (1, 1, 4, 10, 5, 2, 1))[0]
    decay = r.choices((0.0, 1e-3, 0.05, 0.3), (10, 2, 2, 1))[0]
    mixed, dropped = r.choices((0.0, 0.5), (8, 1))[0], r.choices((0.0, 0.3, 0.6), (6, 2, 1))[0]
    schedule: dict[str, Any] = {"name": "constant"} if r.random() < 0.75 else {"name": "cosine"}
    return {
        "dataset": {"id": "digits", "val_fraction": r.choice([0.05, 0.2, 0.2, 0.3, 0.4, 0.4])},
        "model": model,
        "epochs": r.choice(EPOCHS),
        "batch_size": r.choice([8, 16, 32, 32]),
        "optimizer": {"name": name, "lr": lr, "momentum": r.choice([0.0, 0.9]) if name == "sgd" else 0.0},
        "schedule": schedule,
        "regularization": {"weight_decay": decay, "mixup_alpha": mixed, "dropout": dropped},
        "augmentation": {
            "crop_padding": r.choice([0, 0, 0, 1]),
            "trivial_augment": r.random() < 0.1,
            "normalize": r.random() < 0.9,
        },
        "early_stopping": None,
    }


def train(seed: int) -> dict[str, Any] | None:
    """The run that a seed draws, as plain data; None where its parts do not fit together."""
    r = random.Random(seed)
    made, plain = damage(r), settings(r)
    images = pictures(r, made)
    try:
        spec = replace(JobSpec.from_dict(plain).filled(0), seed=seed)
        prepared = training.prepare(spec, images)
        model = training.build(spec, prepared)
    except RightfitError:
        return None
    steps = math.ceil(len(prepared.split.train) / spec.batch_size)  # of an epoch
    affordable = MOST_STEPS[plain["model"]["arch"]] // steps
    fitted = training.train(replace(spec, epochs=max(EPOCHS[0], min(spec.epochs, affordable))), prepared, model)
    return {
        "seed": seed,
        "made": made | {"classes": len(images.classes), "images": len(images), **_settings_of(plain)},
        "facts": facts(prepared),
        "stop_reason": fitted.stop_reason,
        "epochs": columns(fitted.history),
    }


def columns(history: Sequence[EpochResult]) -> dict[str, list[float | None]]:
    """The measures that are kept of each epoch, by name."""
    epochs = [asdict(Epoch.measured(asdict(result))) for result in history]
    return {name: [short(epoch[name]) for epoch in epochs] for name in KEPT}


def _settings_of(plain: dict[str, Any]) -> dict[str, Any]:
    return {"model": plain["model"], **plain["optimizer"], "batch_size": plain["batch_size"]}


def short(value: Any) -> Any:
    """A number with the digits that are stored."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def runs(file: Path = FILE) -> Iterator[dict[str, Any]]:
    """The runs that are kept in a file."""
    return iter(json.loads(file.read_text())) if file.exists() else iter(())


def collect(file: Path, count: int, train_seed: Callable[[int], dict[str, Any] | None]) -> None:
    """Train until the file has `count` runs."""
    torch.set_num_threads(1)
    known = list(runs(file))
    seed = max((run["seed"] for run in known), default=0)
    while len(known) < count:
        seed += 1
        if run := train_seed(seed):
            known.append(run)
            lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in known)
            file.write_text(f"[\n{lines}\n]\n")
            print(seed, len(run["epochs"]["val_loss"]), flush=True)


if __name__ == "__main__":
    collect(FILE, int(sys.argv[1]), train)
