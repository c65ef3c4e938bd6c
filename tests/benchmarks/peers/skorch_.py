"""skorch: a NeuralNetClassifier, numpy arrays to fit, a Checkpoint."""

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from tests.benchmarks.job import LR, VALIDATION_BATCH, Record, arguments, device, load, network


class Watch(Callback):
    def __init__(self) -> None:
        self.record = Record("skorch")

    def on_epoch_end(self, net: NeuralNetClassifier, **_: object) -> None:
        row = net.history[-1]
        self.record.epoch(row["train_loss"], row["valid_loss"], row["valid_acc"])


def main() -> None:
    given = arguments()
    torch.manual_seed(given.seed)
    data = load(given.data)
    watch = Watch()
    best = Checkpoint(dirname=given.folder, f_optimizer=None, f_criterion=None, f_history=None)
    net = NeuralNetClassifier(
        network(given.job),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LR,
        max_epochs=given.epochs,
        batch_size=given.batch_size,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=VALIDATION_BATCH,
        train_split=predefined_split(Dataset(data.validation_images, data.validation_labels)),
        callbacks=[("best", best), ("watch", watch)],
        callbacks__print_log=None,
        device=str(device()),
    )
    net.fit(data.train_images, data.train_labels)
    watch.record.print(len(data.train_labels))


if __name__ == "__main__":
    main()
