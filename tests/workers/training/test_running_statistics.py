import torch
from torch import nn

from workers.training.running_statistics import batch_norms, held_statistics


def test_held_statistics_stay_while_the_batch_normalizes() -> None:
    random = torch.Generator().manual_seed(1)
    images = torch.randn(8, 3, 4, 4, generator=random) * 5 + 2
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(48), nn.BatchNorm1d(48)).train()
    model[3].eval()  # as a frozen part
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with held_statistics(batch_norms(model)):
        held = model(images)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(images), held)
    assert not torch.equal(model.state_dict()["0.running_mean"], before["0.running_mean"])


def test_a_layer_without_statistics_stays_without() -> None:
    layer = nn.BatchNorm1d(2, track_running_stats=False)
    with held_statistics(batch_norms(layer)):
        assert layer.track_running_stats is False
    assert layer.track_running_stats is False
