"""Networks of timm, and how they are frozen, scaled, exported and shared, against timm's own. Without a network."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import nn

from service.core.errors import PretrainedUnavailable
from service.core.spec.architectures import ARCHITECTURES, TIMM
from service.core.spec.states import state_shapes
from service.weights.convert import convert
from service.weights.stored_tensor import UnreadableFile
from tests.workers.bench import Bench
from tests.workers.training.small import network, spec, training_data
from workers.training.checkpoint import weights_of
from workers.training.data.normalization import Normalization
from workers.training.export import TOLERANCE, save_onnx
from workers.training.features import may_keep_features
from workers.training.loop import fit
from workers.training.models.classifier import head_of, tail_of
from workers.training.models.depth import layers_by_depth
from workers.training.models.meta import build_on_meta
from workers.training.models.positions import with_positions
from workers.training.models.starting_weights import load_weights, read_weights
from workers.training.models.timm_networks import build_timm
from workers.training.whole_batch_norm import with_whole_batch_norm

SMALL = "timm/tinynet_e"
FEW = {"id": "digits", "train_limit": 32, "val_fraction": 0.02}
# One of each family, as families differ in their layers.
FAMILIES = [
    "timm/convnext_atto",
    "timm/convnextv2_atto",
    "timm/deit_tiny_patch16_224",
    "timm/edgenext_xx_small",
    "timm/efficientnet_lite0",
    "timm/ghostnet_100",
    "timm/hgnetv2_b0",
    "timm/lcnet_050",
    "timm/mobilenetv3_small_050",
    "timm/mobilenetv4_conv_small",
    "timm/mobilevitv2_050",
    "timm/regnety_002",
    "timm/resnet18",
    "timm/rexnet_100",
    "timm/swin_tiny_patch4_window7_224",
    "timm/tiny_vit_5m_224",
]
OTHERS = [pytest.param(n, marks=pytest.mark.long) for n in ARCHITECTURES if n.startswith(TIMM) and n not in FAMILIES]
IMAGENET_MEAN, IMAGENET_STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.fixture(autouse=True)
def one_thread_and_a_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def build(arch: str = SMALL, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 5, **options: Any) -> nn.Module:
    return build_timm(arch, shape, classes, **{"dropout": 0.0, "stochastic_depth": 0.0, "pretrained": False} | options)


@pytest.mark.parametrize("arch", [*FAMILIES, *OTHERS])
def test_every_architecture_takes_small_gray_images(arch: str) -> None:
    known = ARCHITECTURES[arch]
    model = build_on_meta(lambda: build(arch, (1, 28, 20), 7))
    assert sum(p.numel() for p in model.parameters()) == known.parameters(1, 28, 20, 7)
    assert head_of(model)[0] == state_shapes(arch).head
    assert tail_of(model) is not None, "the features before the last layer can be kept"
    layers = layers_by_depth(model)
    assert {id(p) for layer in layers for p in layer} == {id(p) for p in model.parameters()}
    assert len(layers) > 3
    with torch.no_grad():
        assert model.eval()(torch.empty(2, 1, 28, 20, device="meta")).shape == (2, 7)


def test_stochastic_depth_skips_branches_where_the_table_says_so() -> None:
    rates = [getattr(each, "drop_prob", 0) for each in build(stochastic_depth=0.2).modules()]
    assert 0 < max(rates) <= 0.2
    assert not any(getattr(each, "drop_prob", 0) for each in build().modules())


def test_state_has_the_names_and_shapes_of_timm() -> None:
    ours, theirs = build(classes=1000).state_dict(), timm.create_model("tinynet_e").state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: v.shape for name, v in theirs.items()}


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_scaled_to_the_statistics_of_the_weights(channels: int) -> None:
    pixels = torch.rand(2, 1, 224, 224).expand(2, channels, 224, 224)  # gray: the mean over the colors is exact enough
    ours: Any = build(
        "timm/deit3_small_patch16_224" if channels == 1 else "timm/vit_tiny_patch16_224", (channels, 224, 224)
    )
    seen: list[torch.Tensor] = []
    stem = next(each for each in ours.modules() if isinstance(each, nn.Conv2d))
    stem.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    mean, std = (torch.tensor(ours.pretrained_cfg[name]) for name in ("mean", "std"))
    normalized = (pixels - IMAGENET_MEAN[:channels].view(-1, 1, 1)) / IMAGENET_STD[:channels].view(-1, 1, 1)
    with torch.no_grad():
        ours.eval()(normalized)
    expected = (pixels - mean[:channels].view(-1, 1, 1)) / std[:channels].view(-1, 1, 1)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("freeze", ["backbone", "then_all"])
def test_last_layer_trains_on_kept_features(freeze: str) -> None:
    unfreeze = {"unfreeze_epoch": 2} if freeze == "then_all" else {}
    model = {"arch": "timm/lcnet_050", "freeze": freeze, **unfreeze}
    given = spec(model=model, epochs=2, dataset=FEW, train_loss_clean=False)
    built = network(given)
    assert may_keep_features(given, built, 1)
    before = weights_of(built)
    result = fit(built, training_data(given), given)
    changed = {name for name, value in weights_of(built).items() if not torch.equal(value, before[name])}
    assert result.epochs == 2
    assert (changed == {"classifier.weight", "classifier.bias"}) == (freeze == "backbone")


@pytest.mark.parametrize("arch", [SMALL, "timm/vit_tiny_patch16_224"])
def test_exported_graph_gives_the_logits_of_torch(arch: str, tmp_path: Path) -> None:
    normalization = Normalization(torch.full((3,), 0.4), torch.full((3,), 0.3))
    pixels = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    checked = save_onnx(build(arch), normalization, pixels, tmp_path / "model.onnx")
    assert checked["largest_difference"] <= TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": pixels[:1].numpy().astype("float32") / 255})
    assert logits.shape == (1, 5)


def test_uploaded_weights_are_loaded_but_for_other_classes(tmp_path: Path) -> None:
    theirs: Any = timm.create_model("tinynet_e")
    torch.save(theirs.state_dict(), tmp_path / "sent.pth")
    with (tmp_path / "weights.safetensors").open("wb") as stored:
        assert convert(SMALL, tmp_path / "sent.pth", stored).classes == 1000
    ours = build(shape=(1, 32, 32))
    assert not load_weights(ours, read_weights(tmp_path, has_own_names=True), ("a", "b", "c", "d", "e"))
    torch.testing.assert_close(ours.state_dict()["conv_stem.weight"], theirs.conv_stem.weight.sum(1, keepdim=True))
    assert torch.equal(ours.state_dict()["conv_head.weight"], theirs.conv_head.weight)


@pytest.mark.parametrize("arch", ["timm/vit_tiny_patch16_224", "timm/deit3_small_patch16_224"])
def test_position_embeddings_fit_the_size_of_the_images(arch: str, tmp_path: Path) -> None:
    theirs: Any = timm.create_model(arch.removeprefix(TIMM), depth=1)
    sent = {name: value for name, value in theirs.state_dict().items() if not name.startswith("head.")}
    ours: Any = build_on_meta(lambda: build(arch, (3, 256, 250)))
    assert ours.patch_embed.grid_size == (16, 16), "the longer side, in patches of 16 pixels"
    expected = checkpoint_filter_fn(dict(sent), timm.create_model(arch.removeprefix(TIMM), depth=1, img_size=256))
    fitted = with_positions(sent, ours)
    assert fitted["pos_embed"].shape == ours.pos_embed.shape != sent["pos_embed"].shape
    assert torch.equal(fitted["pos_embed"], expected["pos_embed"])
    assert all(fitted[name] is sent[name] for name in sent if name != "pos_embed")


def test_uploaded_weights_of_a_vit_may_be_of_another_size(tmp_path: Path) -> None:
    arch = "timm/vit_tiny_patch16_224"
    theirs = timm.create_model("vit_tiny_patch16_224", img_size=160)
    torch.save(theirs.state_dict(), tmp_path / "sent.pth")
    with (tmp_path / "weights.safetensors").open("wb") as stored:
        convert(arch, tmp_path / "sent.pth", stored)
    ours = build(arch, (3, 160, 160))
    load_weights(ours, read_weights(tmp_path, has_own_names=True), ("a", "b", "c", "d", "e"))
    images = torch.randn(1, 3, 160, 160)
    scaled = (images * IMAGENET_STD.view(-1, 1, 1) + IMAGENET_MEAN.view(-1, 1, 1) - 0.5) / 0.5
    with torch.no_grad():
        tail = tail_of(ours)
        assert tail is not None
        features = theirs.eval().forward_head(theirs.forward_features(scaled), pre_logits=True)
        torch.testing.assert_close(ours.eval()(images), tail(features), rtol=1e-4, atol=1e-4)
    broken = theirs.state_dict() | {"pos_embed": torch.zeros(1, 100, 192)}
    torch.save(broken, tmp_path / "broken.pth")
    with (tmp_path / "broken.safetensors").open("wb") as stored, pytest.raises(UnreadableFile, match="pos_embed has"):
        convert(arch, tmp_path / "broken.pth", stored)


def test_batch_norm_of_several_processes_keeps_its_activation() -> None:
    model = nn.Sequential(BatchNormAct2d(4))
    images = torch.randn(8, 4, 3, 3)
    expected = model.eval()(images)
    assert torch.equal(with_whole_batch_norm(model).eval()(images), expected)
    assert expected.min() == 0, "the activation is a ReLU"


def test_error_without_network_names_the_remedies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PretrainedUnavailable) as caught:
        build(pretrained=True)
    for word in (SMALL, "huggingface.co", f"rightfit weights push FILE --arch {SMALL}"):
        assert word in str(caught.value)


def test_timm_is_loaded_only_for_a_network_of_its_own() -> None:
    code = (
        "import sys; from workers.trainer_args import TRAINER_MODULES; "
        "[__import__(name) for name in TRAINER_MODULES]; sys.exit('timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_job_with_a_network_of_timm_is_trained_and_exported(bench: Bench) -> None:
    model = {"arch": "timm/lcnet_050", "freeze": "then_all", "unfreeze_epoch": 2}
    job = bench.run(model=model, dataset=FEW, epochs=2, train_loss_clean=False)
    assert job.status == "succeeded", job.error
    published = {artifact.name: artifact for artifact in bench.store.queries.artifacts("t", job.id)}
    assert {"best_model.pth", "model.onnx", "model.py"} <= published.keys()
    with bench.storage.open(published["report.json"].key) as report:
        assert json.load(report)["environment"]["timm"] == timm.__version__
