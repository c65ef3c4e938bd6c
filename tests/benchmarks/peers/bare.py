"""The bar to beat: the fastest plain loop we know, without a framework and without our engine.

All images are one tensor on the device, a batch is an index_select, channels last, fused Adam, no synchronization
within an epoch.
"""

import math

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from tests.benchmarks.job import LR, VALIDATION_BATCH, Data, Record, arguments, device, load, network


class Resident:
    """A job's data on the device: images float32 [N, 1, height, width] channels last, labels int64 [N]."""

    def __init__(self, data: Data, on: torch.device) -> None:
        self.images = torch.from_numpy(data.train_images).to(on, memory_format=torch.channels_last)
        self.labels = torch.from_numpy(data.train_labels).to(on)
        self.validation_images = torch.from_numpy(data.validation_images).to(on, memory_format=torch.channels_last)
        self.validation_labels = torch.from_numpy(data.validation_labels).to(on)


def train_epoch(model: nn.Module, optimizer: optim.Optimizer, data: Resident, batch_size: int) -> Tensor:
    """The sum of the losses, still on the device."""
    model.train()
    total = torch.zeros((), device=data.labels.device)
    for chunk in torch.split(torch.randperm(len(data.labels)).to(data.labels.device), batch_size):
        optimizer.zero_grad(set_to_none=True)
        images = data.images.index_select(0, chunk).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(model(images), data.labels.index_select(0, chunk))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        total.add_(loss.detach(), alpha=len(chunk))
    return total


@torch.no_grad()
def score(model: nn.Module, data: Resident) -> Tensor:
    """[2], still on the device: the sum of the losses over the validation images, and how many were right."""
    model.eval()
    sums = torch.zeros(2, device=data.labels.device)
    parts = (torch.split(whole, VALIDATION_BATCH) for whole in (data.validation_images, data.validation_labels))
    for images, labels in zip(*parts, strict=True):
        logits = model(images)
        sums[0] += F.cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
    return sums


def adam(model: nn.Module) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=LR, fused=True)


def main() -> None:
    given = arguments()
    torch.manual_seed(given.seed)
    data = Resident(load(given.data), device())
    model = network(given.job).to(device()).to(memory_format=torch.channels_last)
    optimizer = adam(model)
    images, validation_images = len(data.labels), len(data.validation_labels)
    best = math.inf
    record = Record("bare")
    for _ in range(given.epochs):
        total = train_epoch(model, optimizer, data, given.batch_size)
        train_loss, val_loss, correct = torch.cat([total[None], score(model, data)]).tolist()
        val_loss /= validation_images
        if val_loss < best:
            best = val_loss
            torch.save(model.state_dict(), given.folder / "best.pt")
        record.epoch(train_loss / images, val_loss, correct / validation_images)
    record.print(images)


if __name__ == "__main__":
    main()
