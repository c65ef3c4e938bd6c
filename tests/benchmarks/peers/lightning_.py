"""PyTorch Lightning (the package pytorch-lightning): a LightningModule, a Trainer, a ModelCheckpoint."""

from pathlib import Path

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.job import LR, VALIDATION_BATCH, Data, Record, arguments, load, network

Batch = tuple[Tensor, Tensor]


class Classifier(LightningModule):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: Batch, _: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self.model(images), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        images, labels = batch
        logits = self.model(images)
        self.log("val_loss", F.cross_entropy(logits, labels), batch_size=len(labels))
        self.log("val_accuracy", (logits.argmax(1) == labels).float().mean(), batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LR)


class Watch(Callback):
    def __init__(self) -> None:
        self.record = Record("lightning")

    def on_train_epoch_end(self, trainer: Trainer, _: LightningModule) -> None:
        metrics = trainer.callback_metrics
        self.record.epoch(*(float(metrics[name]) for name in ("train_loss", "val_loss", "val_accuracy")))


def train(data: Data, model: nn.Module, batch_size: int, epochs: int, folder: Path) -> Record:
    """Train the network; its best weights go into the folder."""
    training = TensorDataset(torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels))
    validation = TensorDataset(torch.from_numpy(data.validation_images), torch.from_numpy(data.validation_labels))
    watch = Watch()
    best = ModelCheckpoint(folder, monitor="val_loss", save_weights_only=True)
    trainer = Trainer(
        max_epochs=epochs,
        devices=1,
        callbacks=[watch, best],
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        Classifier(model),
        DataLoader(training, batch_size=batch_size, shuffle=True),
        DataLoader(validation, batch_size=VALIDATION_BATCH),
    )
    return watch.record


def main() -> None:
    given = arguments()
    seed_everything(given.seed, verbose=False)
    data = load(given.data)
    record = train(data, network(given.job), given.batch_size, given.epochs, given.folder)
    record.print(len(data.train_labels))


if __name__ == "__main__":
    main()
