"""The loop of a PyTorch tutorial, written with care: train and eval mode, losses averaged per image."""

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.job import LR, VALIDATION_BATCH, Data, Record, arguments, device, load, network


def train(data: Data, model: nn.Module, on: torch.device, batch_size: int, epochs: int, folder: Path) -> Record:
    """Train the network; its best weights go into the folder."""
    training = TensorDataset(torch.from_numpy(data.train_images), torch.from_numpy(data.train_labels))
    validation = TensorDataset(torch.from_numpy(data.validation_images), torch.from_numpy(data.validation_labels))
    train_loader = DataLoader(training, batch_size=batch_size, shuffle=True)
    validation_loader = DataLoader(validation, batch_size=VALIDATION_BATCH)
    model = model.to(on)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    best = math.inf
    record = Record("article")
    for _ in range(epochs):
        model.train()
        train_loss = 0.0
        for batch in train_loader:
            images, labels = (tensor.to(on) for tensor in batch)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            train_loss += loss.item() * len(labels)

        model.eval()
        val_loss, correct = 0.0, 0
        with torch.no_grad():
            for batch in validation_loader:
                images, labels = (tensor.to(on) for tensor in batch)
                logits = model(images)
                val_loss += F.cross_entropy(logits, labels).item() * len(labels)
                correct += int((logits.argmax(1) == labels).sum().item())

        val_loss /= len(validation)
        if val_loss < best:
            best = val_loss
            torch.save(model.state_dict(), folder / "best.pt")
        record.epoch(train_loss / len(training), val_loss, correct / len(validation))
    return record


def main() -> None:
    given = arguments()
    torch.manual_seed(given.seed)
    data = load(given.data)
    record = train(data, network(given.job), device(), given.batch_size, given.epochs, given.folder)
    record.print(len(data.train_labels))


if __name__ == "__main__":
    main()
