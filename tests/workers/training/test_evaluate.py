import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.workers.training.small import Data, network, spec
from workers.training.data.batches import Batches, Resident
from workers.training.data.images import ImageSet
from workers.training.data.normalization import Normalization
from workers.training.evaluate import evaluate

B = 8


def some_batches(n: int) -> Batches:
    random = torch.Generator().manual_seed(n)
    images = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=random)
    labels = torch.randint(0, 3, (n,), generator=random)
    return Resident(ImageSet(images, labels, ("a", "b", "c")), images, torch.arange(n), Normalization.none(1))


def whole(batches: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    ((images, labels),) = batches.in_order(len(batches))
    return images, labels


@pytest.mark.parametrize("n", [B, 2 * B, 2 * B + 1, 3 * B - 1, 1, B - 1])
def test_mean_is_per_image_for_any_batch_size(n: int) -> None:
    model, batches = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), some_batches(n)
    images, labels = whole(batches)
    score = evaluate(model, batches, batch_size=B)
    assert score.loss == pytest.approx(F.cross_entropy(model(images), labels).item(), rel=1e-6)
    assert score.accuracy == pytest.approx((model(images).argmax(1) == labels).double().mean().item())


@given(st.integers(1, 40), st.integers(1, 50))
def test_the_batch_size_does_not_matter(n: int, batch_size: int) -> None:
    torch.manual_seed(0)
    model, batches = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), some_batches(n)
    assert evaluate(model, batches, batch_size).loss == pytest.approx(evaluate(model, batches, 1).loss, rel=1e-6)


def test_evaluation_leaves_model_and_random_state_unchanged() -> None:
    given_spec = spec(model={"arch": "cnn", "channels": [4], "norm": "batch"}, regularization={"dropout": 0.5})
    model, data = network(given_spec), Data(given_spec)
    model.train()
    next(model.children()).eval()  # a frozen layer must come back frozen
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    evaluate(model, data.validation)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(p.grad is None for p in model.parameters())


def test_the_mode_comes_back_after_an_exception_too() -> None:
    class Broken(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert not self.training
            raise ZeroDivisionError

    model = Broken()
    with pytest.raises(ZeroDivisionError):
        evaluate(model, some_batches(3))
    assert model.training


def test_dropout_does_not_act_on_a_score() -> None:
    heavy = spec(regularization={"dropout": 0.9})
    model, batches = network(heavy), Data(heavy).validation
    assert evaluate(model, batches) == evaluate(model, batches)
