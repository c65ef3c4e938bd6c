"""Weights of another run, loaded into networks with other classes, channels, dropout or image size."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import GoogLeNet, VisionTransformer, get_model_weights

from service.core.errors import Invalid
from service.core.records.artifact_names import BEST_MODEL, LABELS
from service.core.spec import JobSpec
from service.weights.check import AUXILIARY_NOTE
from service.weights.convert import OTHER_NOTE, PUBLISHED, convert
from workers.training.checkpoint import save_tensors, weights_of
from workers.training.models import build_model
from workers.training.models.classifier import head_of
from workers.training.models.starting_weights import StartingWeights, load_weights, read_weights

NAMES = ("a", "b", "c")
CNN: dict[str, Any] = {"arch": "cnn", "channels": [4, 8], "hidden": [16], "norm": "batch"}
NETWORKS: list[dict[str, Any]] = [CNN, {"arch": "mlp", "hidden": [16]}, {"arch": "resnet18"}]


def network(
    model: Mapping[str, Any], seed: int, classes: int = 3, channels: int = 3, side: int = 32, **options: Any
) -> nn.Module:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "model": model, "seed": seed, **options})
    return build_model(spec, (channels, side, side), classes).eval()


def weights_from(model: nn.Module, arch: str, classes: tuple[str, ...] | None = NAMES) -> StartingWeights:
    return StartingWeights(weights_of(model), classes, "", has_own_names=arch not in ("cnn", "mlp"))


def images(channels: int = 3, side: int = 32) -> Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", NETWORKS)
def test_same_network_computes_the_same(model: dict[str, Any]) -> None:
    source, target = network(model, 1), network(model, 2)
    assert not torch.equal(source(images()), target(images()))
    assert load_weights(target, weights_from(source, model["arch"]), NAMES)
    assert torch.equal(source(images()), target(images()))


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("classes", [NAMES[:2], ("a", "b", "x")])
def test_other_classes_get_a_new_last_layer(model: dict[str, Any], classes: tuple[str, ...]) -> None:
    source, target = network(model, 1), network(model, 2, len(classes))
    fresh = weights_of(head_of(target)[1])
    assert not load_weights(target, weights_from(source, model["arch"]), classes)
    assert all(torch.equal(value, fresh[name]) for name, value in head_of(target)[1].state_dict().items())
    for net in (source, target):
        nn.init.eye_(head_of(net)[1].weight)
        nn.init.zeros_(head_of(net)[1].bias)  # type: ignore[arg-type]  # it has one
    assert torch.equal(source(images())[:, : len(classes)], target(images()))


def test_weights_without_names_of_classes_keep_their_last_layer() -> None:
    source, target = network(CNN, 1), network(CNN, 2)
    assert load_weights(target, weights_from(source, "cnn", None), ("x", "y", "z"))
    assert torch.equal(source(images()), target(images()))


@pytest.mark.parametrize("model", [CNN, {"arch": "resnet18"}])
@pytest.mark.parametrize(("before", "after"), [(3, 1), (3, 6), (1, 3), (4, 1)])
def test_gray_images_give_the_same_with_other_channels(model: dict[str, Any], before: int, after: int) -> None:
    source, target = network(model, 1, channels=before), network(model, 2, channels=after)
    load_weights(target, weights_from(source, model["arch"]), NAMES)
    gray = images(1)
    expected = source(gray.expand(-1, before, -1, -1))
    torch.testing.assert_close(target(gray.expand(-1, after, -1, -1)), expected, atol=1e-4, rtol=1e-4)


def test_dropout_of_the_source_does_not_matter() -> None:
    source = network(CNN, 1, regularization={"dropout": 0.3, "spatial_dropout": 0.1})
    target = network(CNN, 2)
    assert set(source.state_dict()) != set(target.state_dict())
    assert load_weights(target, weights_from(source, "cnn"), NAMES)
    assert torch.equal(source(images()), target(images()))


def test_position_embeddings_are_interpolated() -> None:
    source, target = (VisionTransformer(side, 8, 1, 2, hidden_dim=16, mlp_dim=8, num_classes=3) for side in (32, 40))
    load_weights(target, weights_from(source, "vit_b_32"), NAMES)
    name = "encoder.pos_embedding"
    before, after = source.state_dict()[name], target.state_dict()[name]
    assert torch.equal(before[:, 0], after[:, 0]), "of the class token"
    grid = before[:, 1:].transpose(1, 2).reshape(1, 16, 4, 4)
    larger = nn.functional.interpolate(grid, size=5, mode="bicubic", align_corners=True)
    torch.testing.assert_close(after[:, 1:], larger.reshape(1, 16, 25).transpose(1, 2))


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        ({**CNN, "channels": [4, 6]}, {}, "has the shape"),
        ({**CNN, "channels": [4]}, {}, "of another network"),
        (CNN, {"side": 16}, "has the shape"),
    ],
)
def test_weights_of_another_network_are_refused(model: dict[str, Any], options: dict[str, int], words: str) -> None:
    source, target = network(CNN, 1), network(model, 2, **options)
    with pytest.raises(Invalid, match=words):
        load_weights(target, weights_from(source, "cnn"), NAMES)


def test_files_of_jobs_and_uploads_are_read(tmp_path: Path) -> None:
    state = {"a": torch.ones(2)}
    (tmp_path / "job").mkdir()
    save_tensors(tmp_path / "job" / BEST_MODEL, state)
    (tmp_path / "job" / LABELS).write_text(json.dumps({"classes": NAMES}))
    of_job = read_weights(tmp_path / "job", has_own_names=False)
    (tmp_path / "upload").mkdir()
    save_file(state, tmp_path / "upload" / "abc.safetensors")
    uploaded = read_weights(tmp_path / "upload", has_own_names=True)
    assert (of_job.classes, uploaded.classes) == (NAMES, None)
    assert torch.equal(of_job.tensors["a"], uploaded.tensors["a"])
    assert len({of_job.sha256, uploaded.sha256}) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_published_googlenet_keeps_the_scaling_of_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    theirs: Any = GoogLeNet(aux_logits=True, transform_input=True, init_weights=False).eval()
    theirs.conv1.bn.running_mean.normal_()
    torch.save(theirs.state_dict(), tmp_path / "published.pth")
    (tmp_path / "stored").mkdir()
    digest = hashlib.sha256((tmp_path / "published.pth").read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED, "googlenet", digest[:8])
    with (tmp_path / "stored" / "weights.safetensors").open("wb") as target:
        assert convert("googlenet", tmp_path / "published.pth", target).notes == (AUXILIARY_NOTE,)
    ours = network({"arch": "googlenet"}, 1, channels=channels, side=224)
    load_weights(ours, read_weights(tmp_path / "stored", has_own_names=True), NAMES)
    pictures = images(channels, 40)
    with torch.no_grad():
        maps = ours.get_submodule("conv1")(pictures)
        expected = theirs.conv1(theirs._transform_input(pictures.expand(2, 3, 40, 40)))
    torch.testing.assert_close(maps[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("has_auxiliary", [False, True])
def test_other_googlenet_gets_its_images_as_they_are(tmp_path: Path, has_auxiliary: bool) -> None:
    theirs: Any = GoogLeNet(aux_logits=has_auxiliary, init_weights=False).eval()
    torch.save(theirs.state_dict(), tmp_path / "sent.pth")
    with (tmp_path / "weights.safetensors").open("wb") as target:
        notes = convert("googlenet", tmp_path / "sent.pth", target).notes
    assert notes == ((AUXILIARY_NOTE, OTHER_NOTE) if has_auxiliary else (OTHER_NOTE,))
    ours = network({"arch": "googlenet"}, 1, side=224)
    load_weights(ours, read_weights(tmp_path, has_own_names=True), NAMES)
    with torch.no_grad():
        maps, expected = (each.get_submodule("conv1")(images(3, 40)) for each in (ours, theirs))
    torch.testing.assert_close(maps, expected)


def test_digests_of_published_files_are_those_of_torchvision() -> None:
    for arch, digest in PUBLISHED.items():
        assert get_model_weights(arch).DEFAULT.value.url.endswith(f"-{digest}.pth")
