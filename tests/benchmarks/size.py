"""Does the engine stay as fast and as small for a large data set, and for a long run?

Images per second and peak memory from a thousand images to a million, with a network so small that the handling of
the data dominates; and the first and last thousand of many epochs.
"""

import argparse
import json
import statistics

import torch

from service.core.spec import JobSpec
from tests.benchmarks.job import CLASSES
from tests.benchmarks.processes import OURS, measure
from tests.benchmarks.rightfit import NONE, network_of, parts_of
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.data.split import Split
from workers.training.loop import fit
from workers.training.process import tune

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 10_000)
SHOWN = 2_000_000  # images trained on for each size, in whole epochs, at least MIN_EPOCHS of them
MIN_EPOCHS, MAX_EPOCHS = 3, 200
VALIDATION_SHARE = 10  # one image in ten
BATCH = 256
LONG, QUICK_LONG = 10_000, 400  # epochs
TINY = 64  # images of the long run
AN_END = 10  # the first and the last tenth of the epochs are compared


def epoch_seconds(count: int, epochs: int) -> tuple[list[float], int, int]:
    """The seconds of each epoch on `count` random images, how many are for training, and the bytes of all."""
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, 1, 28, 28), dtype=torch.uint8, generator=random)
    images = ImageSet(pixels, torch.randint(CLASSES, (count,), generator=random), tuple(map(str, range(CLASSES))))
    cut = count - count // VALIDATION_SHARE
    split = Split(torch.arange(cut), torch.arange(cut, count), NONE)
    changes = {
        "dataset": {"id": "random"},
        "model": {"arch": "mlp", "hidden": [32]},
        "epochs": epochs,
        "batch_size": BATCH,
        "early_stopping": None,
        "train_loss_clean": False,
    }
    spec = JobSpec.from_dict(changes).filled(0)
    seconds: list[float] = []
    parts = parts_of(images, split, Normalization.none(1))
    fit(network_of(spec, images), parts, spec, lambda result: seconds.append(result.seconds))
    return seconds, cut, images.nbytes + images.labels.nbytes


def one_size(count: int) -> dict[str, float]:
    seconds, train, data_bytes = epoch_seconds(count, min(MAX_EPOCHS, max(MIN_EPOCHS, SHOWN // count)))
    return {"images": count, "images_per_second": train / statistics.median(seconds[1:]), "data_bytes": data_bytes}


def long_run(epochs: int) -> dict[str, float]:
    """The median epoch at the start and at the end of a long run, in milliseconds."""
    seconds, end = epoch_seconds(TINY, epochs)[0], epochs // AN_END
    first, last = (1e3 * statistics.median(part) for part in (seconds[:end], seconds[-end:]))
    return {"epochs": epochs, "first_ms": first, "last_ms": last}


def main() -> None:
    """Each size is measured in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="measure this one size, here")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    tune(torch.get_num_threads())  # as a trainer process does
    if given.images:
        print(json.dumps(one_size(given.images)))
        return
    sizes = []
    for count in QUICK_SIZES if given.quick else SIZES:
        measured = measure(OURS, "tests.benchmarks.size", ["--images", str(count)])
        sizes.append(measured.line | {"peak_bytes": measured.peak_bytes})
    print(json.dumps({"sizes": sizes, "long": long_run(QUICK_LONG if given.quick else LONG)}))


if __name__ == "__main__":
    main()
