"""The mean norm of an epoch's gradients, against a plain loop."""

import math
from statistics import fmean

import pytest
import torch
from torch.nn import functional as F

from service.core.spec import JobSpec
from tests.workers.training.small import Data, network, spec, trained
from workers.training.seeds import generator


def mean_norms(given: JobSpec, limit: float) -> list[float]:
    """Of each epoch of plain gradient descent, whose gradients are clipped at `limit`; norms are from before."""
    model, train, order = network(given).train(), Data(given).train, generator(given.seed, "order")
    means = []
    for _ in range(given.epochs):
        norms = []
        for pixels, labels in train.shuffled(given.batch_size, order):
            loss = F.cross_entropy(model(train.normalized(pixels)), labels)
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            norms.append(math.sqrt(sum(value**2 for one in gradients for value in one.flatten().tolist())))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter.sub_(given.optimizer.lr * min(1.0, limit / norms[-1]) * gradient)
        means.append(fmean(norms))
    return means


@pytest.mark.parametrize("limit", [None, 0.3])
def test_gradient_norm_is_the_mean_over_steps_before_clipping(limit: float | None) -> None:
    changes = {"optimizer": {"name": "sgd", "lr": 0.1}, "regularization": {"gradient_clip_norm": limit}}
    given = spec(**changes, precision="fp32")
    expected = mean_norms(given, limit or math.inf)
    assert min(expected) > 0.3, "every epoch has clipped steps"
    assert [result.gradient_norm for result in trained(given)[2]] == pytest.approx(expected, rel=1e-4)
