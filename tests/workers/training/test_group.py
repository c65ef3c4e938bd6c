"""The division of a batch among processes. Whole runs are in tests/workers/trainer/test_distributed.py."""

import pytest
import torch
from torch import nn

from workers.training.group import SINGLE_PROCESS, Group
from workers.training.whole_batch_norm import WholeBatchNorm, with_whole_batch_norm


def group(rank: int, size: int) -> Group:
    made = Group()
    made.rank, made.size = rank, size
    return made


@pytest.mark.parametrize(("count", "size"), [(64, 1), (64, 2), (65, 4), (8, 8), (3, 2), (2, 3), (1, 4)])
def test_every_image_is_learned_from_once(count: int, size: int) -> None:
    everyone = [group(rank, size) for rank in range(size)]
    assert sum(one.portion(count) for one in everyone) == pytest.approx(count)
    rows = [index for one in everyone for index in range(count)[one.rows(count)]]
    assert rows == (list(range(count)) if count >= size else list(range(count)) * size)
    assert all(one.rows(count).stop > one.rows(count).start for one in everyone), "every process has rows"


def test_single_process_leads_and_has_all_rows() -> None:
    tensor = torch.tensor([1.0])
    assert SINGLE_PROCESS.leads
    assert SINGLE_PROCESS.rows(5) == slice(0, 5)
    assert SINGLE_PROCESS.agree("stop") == "stop"
    assert SINGLE_PROCESS.gather(3) == [3]
    assert SINGLE_PROCESS.add_(tensor) is tensor
    assert not group(1, 2).leads


def test_whole_batch_norm_keeps_parameters_buffers_and_scores() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(108)))
    model(torch.randn(4, 1, 8, 8))
    before, images = dict(model.named_parameters()), torch.randn(4, 1, 8, 8)
    scores = model.eval()(images)
    shared = with_whole_batch_norm(model)
    assert [type(module) for module in (shared[1], shared[2][1])] == [WholeBatchNorm] * 2  # type: ignore[index]
    assert all(parameter is before[name] for name, parameter in shared.named_parameters())
    assert torch.equal(shared(images), scores)
    assert isinstance(with_whole_batch_norm(nn.BatchNorm1d(4)), WholeBatchNorm), "a model that is one itself"
