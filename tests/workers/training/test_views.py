"""Test-time augmentation against a loop over views, and where it counts."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.workers.training.small import Data, network, spec, trained
from workers.training.evaluate import evaluate
from workers.training.features import may_keep_features
from workers.training.views import averaged

CNN = {"arch": "cnn", "channels": [4], "hidden": [8], "norm": "batch"}


def shifted(images: Tensor, step: int) -> Tensor:
    """Each image with every pixel from `step` rows and columns further on; past the edge, those before it."""
    side = images.shape[2]
    places = [min(max(at + step, -(at + step)), 2 * (side - 1) - (at + step)) for at in range(side)]
    return images[:, :, places][:, :, :, places]


def expected(model: nn.Module, images: Tensor, name: str) -> Tensor:
    both = [(model(each) + model(each.flip(3))) / 2 for each in (images, shifted(images, -1), shifted(images, 1))]
    logits: Tensor = {"none": model(images), "mirror": both[0], "mirror_shift": both[0] / 2 + (both[1] + both[2]) / 4}[
        name
    ]
    return logits


@pytest.mark.parametrize("name", ["none", "mirror", "mirror_shift"])
def test_logits_are_averaged_over_the_views(name: str) -> None:
    torch.manual_seed(0)
    model, images = (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5)),
        torch.randn(6, 2, 6, 6),
    )
    torch.testing.assert_close(averaged(model, images, name), expected(model, images, name))


@pytest.mark.parametrize("name", ["none", "mirror", "mirror_shift"])
def test_losses_of_an_epoch_are_those_of_the_averaged_logits(name: str) -> None:
    given = spec(model=CNN, epochs=1, test_time_augmentation=name)
    model, _, (epoch,) = trained(given)
    data, model = Data(given), model.eval()
    for part, loss in ((data.validation, epoch.val_loss), (data.clean, epoch.train_loss_clean)):
        ((images, labels),) = part.in_order(10_000)
        with torch.no_grad():
            assert loss == pytest.approx(F.cross_entropy(expected(model, images, name), labels).item(), rel=1e-5)
    assert evaluate(model, data.validation, views=name).loss == pytest.approx(epoch.val_loss)


def test_views_change_no_step_of_training() -> None:
    weights = [trained(spec(model=CNN, epochs=1, test_time_augmentation=name))[0] for name in ("none", "mirror_shift")]
    plain, viewed = (model.state_dict() for model in weights)
    assert all(torch.equal(plain[name], viewed[name]) for name in plain)


def test_features_are_not_kept_for_averaged_views() -> None:
    frozen = {"model": CNN | {"freeze": "backbone"}}
    plain, viewed = spec(**frozen), spec(**frozen, test_time_augmentation="mirror")
    assert may_keep_features(plain, network(plain), 1)
    assert not may_keep_features(viewed, network(viewed), 1)
