"""The same recipe as a plain loop: torch alone, all images on the device, no synchronization within an epoch."""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.benchmarks.airbench import recipe
from tests.benchmarks.airbench.recipe import Size
from tests.benchmarks.airbench.sets import CHANNELS, CLASSES, SIDE, TRAIN
from workers.training.data.images import ImageSet

MOST_WHITENED, EPS = 5_000, 5e-4
SCORED = 1_000  # images at a time


def network(widths: Sequence[int]) -> nn.Sequential:
    """Whitening, three blocks and a linear layer; the logits are to be scaled."""
    outputs = 2 * CHANNELS * recipe.PATCH**2
    modules: list[nn.Module] = [nn.Conv2d(CHANNELS, outputs, recipe.PATCH), nn.GELU()]
    for width in widths:
        modules += [nn.Conv2d(outputs, width, 3, padding=1, bias=False), nn.MaxPool2d(2)]
        modules += [nn.BatchNorm2d(width, momentum=recipe.KEPT), nn.GELU()]
        modules += [nn.Conv2d(width, width, 3, padding=1, bias=False)]
        modules += [nn.BatchNorm2d(width, momentum=recipe.KEPT), nn.GELU()]
        outputs = width
    return nn.Sequential(*modules, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(outputs, CLASSES, bias=False))


@torch.no_grad()
def whiten(first: nn.Conv2d, images: Tensor) -> None:
    """Kernels and bias of the first layer, from normalized images; the kernels stay as they are."""
    patches = F.unfold(images, recipe.PATCH).transpose(0, 1).flatten(1)
    variances, vectors = torch.linalg.eigh(torch.cov(patches))
    kernels = (vectors / (variances + EPS).sqrt()).T.reshape(-1, *first.weight.shape[1:])
    first.weight.copy_(torch.cat([kernels, -kernels]))
    first.weight.requires_grad_(False)
    nn.init.zeros_(first.bias)  # type: ignore[arg-type]  # there is one


def shifted(images: Tensor) -> Tensor:
    """Each image [N, C, H, W] moved by up to SHIFT pixels along both axes, with zeros where nothing was."""
    padded = F.pad(images, (recipe.SHIFT,) * 4)
    places = 2 * recipe.SHIFT + 1
    moves = torch.randint(0, places**2, (len(images),), device=images.device)
    result = torch.empty_like(images)
    for move in range(places**2):
        chosen, top, left = moves == move, move // places, move % places
        result[chosen] = padded[chosen, :, top : top + SIDE, left : left + SIDE]
    return result


def lr_share(step: int, steps: int) -> float:
    """A triangle over the run: the share of the highest learning rate at this step."""
    top = recipe.RISING * steps - 1
    if step <= top:
        return recipe.START + (1 - recipe.START) * step / top
    return 1 + (recipe.END - 1) * (step - top) / (steps - 1 - top)


def logits(model: nn.Module, images: Tensor) -> Tensor:
    """Averaged over the image and two that are shifted by a pixel, all of them mirrored too."""
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    views = ((2, images), (1, padded[:, :, :-2, :-2]), (1, padded[:, :, 2:, 2:]))
    both = [share * (model(view) + model(view.flip(3))) for share, view in views]
    total: Tensor = torch.stack(both).sum(0) * recipe.LOGIT_SCALE / 8
    return total


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    parts = zip(torch.split(images, SCORED), torch.split(labels, SCORED), strict=True)
    return sum(int((logits(model, x).argmax(1) == y).sum()) for x, y in parts) / len(labels)


class Lookahead:
    """Slow weights and running statistics."""

    def __init__(self, model: nn.Module, steps: int) -> None:
        self.slow, self.steps = copy.deepcopy(model), steps

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """`step` steps are done."""
        if step % recipe.LOOKAHEAD_STEPS:
            return
        share = 1 - (1 - recipe.LOOKAHEAD_ALPHA) * (step / self.steps) ** recipe.LOOKAHEAD_POWER
        for slow, fast in zip(self.slow.state_dict().values(), model.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, share)
                fast.copy_(slow)


class Data:
    """All images on the device: those to train on as float32 pixels, those to score normalized."""

    def __init__(self, images: ImageSet, device: torch.device) -> None:
        stored, labels = images.stored.to(device).to(torch.float32, memory_format=torch.channels_last), images.labels
        is_training = images.parts == TRAIN
        self.pixels, self.labels = stored[is_training], labels[is_training].to(device)
        self.mean = self.pixels.mean((0, 2, 3), keepdim=True)
        self.std = self.pixels.std((0, 2, 3), keepdim=True)
        self.scored, self.answers = self.normalized(stored[~is_training]), labels[~is_training].to(device)
        self._is_mirrored = torch.rand(len(self.labels), device=device) < 0.5

    def normalized(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std

    def batches(self, batch_size: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented images with labels; each image is mirrored in every second epoch."""
        order = torch.randperm(len(self.labels), device=self.labels.device)
        for chosen in torch.split(order, batch_size):
            flips = (self._is_mirrored[chosen] ^ bool(epoch % 2))[:, None, None, None]
            batch = self.normalized(shifted(self.pixels[chosen]))
            yield torch.where(flips, batch.flip(3), batch), self.labels[chosen]


class Optimizer:
    """Nesterov SGD with decoupled decay of the kernels, and Lookahead; `steps` of the run."""

    def __init__(self, model: nn.Module, size: Size, steps: int) -> None:
        trained = [p for p in model.parameters() if p.requires_grad]
        self._decayed: list[Tensor] = [p for p in trained if p.ndim > 1]
        self._sgd = torch.optim.SGD(trained, size.lr, momentum=recipe.MOMENTUM, nesterov=True, fused=True)
        self._model, self._size, self._steps, self._step = model, size, steps, 0
        self.lookahead = Lookahead(model, steps)

    @torch.no_grad()
    def step(self) -> None:
        lr = self._size.lr * lr_share(self._step, self._steps)
        self._sgd.param_groups[0]["lr"] = lr
        torch._foreach_mul_(self._decayed, 1 - lr * self._size.weight_decay)
        self._sgd.step()
        self._sgd.zero_grad(set_to_none=True)
        self._step += 1
        self.lookahead.update(self._model, self._step)


def train(
    images: ImageSet,
    size: Size,
    seed: int,
    device: torch.device,
    precision: str,
    on_epoch: Callable[[float], None],
) -> None:
    """`on_epoch` gets the validation accuracy of each epoch, measured with averaged weights and views."""
    torch.manual_seed(seed)
    data, model = Data(images, device), network(size.widths).to(device).to(memory_format=torch.channels_last)
    whiten(model[0], data.normalized(data.pixels[:MOST_WHITENED]))  # type: ignore[arg-type]  # it is a Conv2d
    optimizer = Optimizer(model, size, size.epochs * -(-len(data.labels) // size.batch_size))
    for epoch in range(size.epochs):
        model.train()
        for batch, targets in data.batches(size.batch_size, epoch):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                guesses = model(batch) * recipe.LOGIT_SCALE
                loss = F.cross_entropy(guesses, targets, label_smoothing=recipe.SMOOTHING)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
        on_epoch(accuracy(optimizer.lookahead.slow, data.scored, data.answers))
