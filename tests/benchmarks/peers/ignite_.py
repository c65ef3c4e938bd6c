"""PyTorch-Ignite: a supervised trainer, a supervised evaluator, a Checkpoint."""

from typing import Any

import torch
from ignite.engine import Engine, Events, create_supervised_evaluator, create_supervised_trainer
from ignite.handlers import Checkpoint, DiskSaver
from ignite.metrics import Accuracy, Average, Loss
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.job import LR, VALIDATION_BATCH, Record, arguments, device, load, network


def main() -> None:
    given = arguments()
    torch.manual_seed(given.seed)
    data = load(given.data)
    train = TensorDataset(torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels))
    validation = TensorDataset(torch.from_numpy(data.validation_images), torch.from_numpy(data.validation_labels))
    train_loader = DataLoader(train, batch_size=given.batch_size, shuffle=True)
    validation_loader = DataLoader(validation, batch_size=VALIDATION_BATCH)
    model = network(given.job).to(device())
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    trainer = create_supervised_trainer(model, optimizer, F.cross_entropy, device())
    Average().attach(trainer, "loss")
    evaluator = create_supervised_evaluator(model, {"loss": Loss(F.cross_entropy), "accuracy": Accuracy()}, device())
    best = Checkpoint(
        {"model": model},
        DiskSaver(str(given.folder), require_empty=False),
        score_function=lambda engine: -engine.state.metrics["loss"],
        n_saved=1,
    )
    evaluator.add_event_handler(Events.COMPLETED, best)
    record = Record("ignite")

    def validate(engine: Engine) -> None:
        measured: dict[str, Any] = evaluator.run(validation_loader).metrics
        record.epoch(engine.state.metrics["loss"], measured["loss"], measured["accuracy"])

    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    trainer.run(train_loader, max_epochs=given.epochs)
    record.print(len(train))


if __name__ == "__main__":
    main()
