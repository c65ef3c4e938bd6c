"""The loop of a PyTorch tutorial, written with care: train and eval mode, losses averaged per image."""

import math

import torch
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
    on = device()
    model = network(given.job).to(on)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    best = math.inf
    record = Record("article")
    for _ in range(given.epochs):
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
            torch.save(model.state_dict(), given.folder / "best.pt")
        record.epoch(train_loss / len(train), val_loss, correct / len(validation))
    record.print(len(train))


if __name__ == "__main__":
    main()
