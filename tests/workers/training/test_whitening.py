"""The whitening layer: its kernels against NumPy, and that no step changes them."""

from typing import Any

import numpy as np
import pytest
import torch

from service.core.errors import Invalid
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.plan import UNLIMITED, plan
from tests.workers.training.small import Data, network, spec, training_data
from workers.training.loop import fit
from workers.training.models.whitening import LEAST_VARIANCE, whiten

CNN = {"arch": "cnn", "channels": [4], "hidden": [8], "whitening": True}
WHITENING = {"type": "whitening", "kernel_size": 3}
OWN = {"arch": "layers", "layers": [WHITENING, {"type": "gelu"}, {"type": "global_avg_pool"}, {"type": "linear"}]}
FEW = {"id": "digits", "train_limit": 100}


def patches(images: torch.Tensor, side: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """All patches of images [N, C, H, W], one in each row."""
    found = images.double().unfold(2, side, 1).unfold(3, side, 1)
    return found.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * side**2).numpy()


@pytest.mark.parametrize(("model", "side"), [(CNN, 2), (OWN, 3)])
def test_outputs_are_uncorrelated_with_the_variance_of_numpy(model: dict[str, Any], side: int) -> None:
    given = spec(model=model, dataset=FEW)
    built, data = network(given), Data(given)
    whiten(built, data.prepared.images, data.prepared.split.train, data.prepared.normalization)
    ((images, _),) = data.train.in_order(1000)
    found = patches(images, side)
    variances = np.linalg.eigvalsh(np.cov(found.T, bias=True))[::-1]
    first = next(built.children())
    outputs = first(images).detach().transpose(0, 1).flatten(1).double().numpy()
    half = len(outputs) // 2
    assert np.allclose(outputs[half:], -outputs[:half])
    expected = np.diag(variances / (variances + LEAST_VARIANCE))
    assert np.allclose(np.cov(outputs[:half], bias=True), expected, atol=1e-4)


def test_training_keeps_the_kernels_and_changes_the_bias() -> None:
    given = spec(model=CNN, dataset=FEW, regularization={"weight_decay": 0.1, "decay_norm_and_bias": True}, epochs=1)
    model = network(given)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fitted = fit(model, training_data(given), given)
    assert fitted.best_weights is not None
    assert torch.equal(fitted.best_weights["0.weight"], before["0.weight"])
    assert not torch.equal(fitted.best_weights["0.bias"], before["0.bias"])


def test_a_network_without_the_layer_stays_as_it_is() -> None:
    given = spec(model=CNN | {"whitening": False}, dataset=FEW)
    built, data = network(given), Data(given)
    before = {name: value.clone() for name, value in built.state_dict().items()}
    whiten(built, data.prepared.images, data.prepared.split.train, data.prepared.normalization)
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())


def test_plan_counts_trained_parameters_and_the_lost_pixel() -> None:
    given = spec(model=CNN)
    planned = plan(given, CONTENTS_OF["digits"], UNLIMITED)
    assert planned.parameters == sum(p.numel() for p in network(given).parameters())
    deep = CNN | {"channels": [4, 4, 4]}  # of 8 pixels 7 are left, which can be halved twice
    plan(spec(model=deep | {"whitening": False}), CONTENTS_OF["digits"], UNLIMITED)
    with pytest.raises(Invalid, match="3 blocks leave nothing"):
        plan(spec(model=deep), CONTENTS_OF["digits"], UNLIMITED)
