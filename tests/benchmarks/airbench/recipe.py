"""The numbers of the recipe, and the spec that has them.

Left out, since the spec has no option for it:

- identity kernels as first weights of the convolutions;
- batch normalization without a trained scale, and a learning rate of its biases that is 64 times as high;
- a bias of the whitening that stops after three epochs;
- decay of the biases, and decay as a part of the gradient: here it is apart from it, with the same strength;
- shifts that reflect the border instead of filling it with zeros;
- 9.9 epochs instead of 10, and no last batch that is smaller;
- weights in float16: with `precision` the products alone are in 16 bits.

Not used: `compile`. Scores of single epochs average over views too; there only the last score does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.core.spec import JobSpec

LR = 1.5  # for BATCH images, of the mean loss; in proportion for other sizes
BATCH = 1024
SHRINKING = 0.0153  # share of the weights that decays in a step at the highest learning rate, for BATCH images
MOMENTUM = 0.85
RISING, START, END = 0.23, 0.2, 0.07  # share of the run, and of the highest learning rate
SMOOTHING = 0.2
SHIFT = 2  # pixels
KEPT = 0.4  # share of a batch in the running statistics of batch normalization
LOGIT_SCALE = 1 / 9
LOOKAHEAD_STEPS, LOOKAHEAD_ALPHA, LOOKAHEAD_POWER = 5, 1 - 0.95**5, 3.0
PATCH = 2  # pixels


@dataclass(frozen=True)
class Size:
    """What may be smaller on a small machine: channels of the three blocks, epochs, images of a batch."""

    widths: Sequence[int] = (64, 256, 256)
    epochs: int = 10
    batch_size: int = BATCH

    @property
    def lr(self) -> float:
        return LR * self.batch_size / BATCH

    @property
    def weight_decay(self) -> float:
        """Times the learning rate it is the share that decays in a step."""
        return SHRINKING / LR


def layers(widths: Sequence[int]) -> list[dict[str, Any]]:
    """The network: whitening, three blocks of two convolutions, scaled logits."""
    norm: dict[str, Any] = {"type": "batch_norm", "momentum": KEPT}
    gelu: dict[str, Any] = {"type": "gelu"}
    blocks: list[dict[str, Any]] = []
    for width in widths:
        convolution = {"type": "conv2d", "channels": width, "bias": False}
        blocks += [convolution, {"type": "max_pool2d"}, norm, gelu, convolution, norm, gelu]
    head: list[dict[str, Any]] = [{"type": "linear", "bias": False}, {"type": "scale", "factor": LOGIT_SCALE}]
    first: list[dict[str, Any]] = [{"type": "whitening", "kernel_size": PATCH}, gelu]
    return [*first, *blocks, {"type": "max_pool2d", "kernel_size": 3}, {"type": "flatten"}, *head]


def spec_of(size: Size, seed: int, device: str, precision: str) -> JobSpec:
    """The recipe as a spec."""
    given = {
        "dataset": {"id": "airbench"},
        "model": {"arch": "layers", "layers": layers(size.widths)},
        "epochs": size.epochs,
        "batch_size": size.batch_size,
        "device": device,
        "precision": precision,
        "optimizer": {"name": "sgdw", "lr": size.lr, "momentum": MOMENTUM, "nesterov": True},
        "schedule": {
            "name": "onecycle",
            "anneal": "linear",
            "rising_share": RISING,
            "start_divisor": 1 / START,
            "final_divisor": START / END,
        },
        "regularization": {
            "weight_decay": size.weight_decay,
            "label_smoothing": SMOOTHING,
            "lookahead_steps": LOOKAHEAD_STEPS,
            "lookahead_alpha": LOOKAHEAD_ALPHA,
            "lookahead_power": LOOKAHEAD_POWER,
        },
        "augmentation": {"horizontal_flip": "alternating", "crop_padding": SHIFT},
        "test_time_augmentation": "mirror_shift",
        "early_stopping": None,
        "train_loss_clean": False,
    }
    return JobSpec.from_dict(given).filled(seed)
