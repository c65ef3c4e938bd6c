"""fastai: DataLoaders, a Learner with torch's Adam, a SaveModelCallback."""

from functools import partial

import torch
from fastai.callback.core import Callback
from fastai.callback.tracker import SaveModelCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import OptimWrapper
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from tests.benchmarks.job import LR, VALIDATION_BATCH, Record, arguments, device, load, network


class Watch(Callback):
    order = SaveModelCallback.order + 1

    def __init__(self) -> None:
        self.record = Record("fastai")

    def after_epoch(self) -> None:
        self.record.epoch(*self.learn.recorder.log[1:4])  # its training loss is a moving average


def main() -> None:
    given = arguments()
    torch.manual_seed(given.seed)
    data = load(given.data)
    train = TensorDataset(torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels))
    validation = TensorDataset(torch.from_numpy(data.validation_images), torch.from_numpy(data.validation_labels))
    loaders = DataLoaders.from_dsets(
        train, validation, bs=given.batch_size, val_bs=VALIDATION_BATCH, drop_last=False, num_workers=0, device=device()
    )
    watch = Watch()
    learner = Learner(
        loaders,
        network(given.job),
        F.cross_entropy,
        opt_func=partial(OptimWrapper, opt=torch.optim.Adam),
        lr=LR,
        metrics=accuracy,
        cbs=[SaveModelCallback(fname="best"), watch],
        path=given.folder,
        model_dir=".",
    )
    with learner.no_bar(), learner.no_logging():
        learner.fit(given.epochs)
    watch.record.print(len(train))


if __name__ == "__main__":
    main()
