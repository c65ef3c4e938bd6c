"""Loading of published weights by torchvision and torch.hub, from files made by the tests, without a network."""

import hashlib
import http.server
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import GoogLeNet, VisionTransformer, get_model, get_model_weights

from service.core.errors import PretrainedUnavailable
from workers.training.models import pretrained
from workers.training.models.pretrained import load_pretrained
from workers.training.models.torchvision import build_torchvision

Shape = tuple[int, int, int]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of torch.hub, and a proxy without a server."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port
    monkeypatch.setattr(urllib.request, "_opener", None)  # it caches the proxies of the first request
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def published(arch: str) -> Any:
    return get_model_weights(arch).DEFAULT


def file_name(arch: str) -> str:
    return str(published(arch).url.rpartition("/")[2])


def build(arch: str, shape: Shape, **options: Any) -> nn.Module:
    rest = {"dropout": 0.0, "stochastic_depth": 0.0}
    return build_torchvision(arch, shape, 5, pretrained=True, **(rest | options))


def unsettled(model: nn.Module) -> nn.Module:
    """The model with running statistics as after a training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


def test_published_weights_are_loaded_but_for_the_classifier(hub: Path) -> None:
    theirs = unsettled(get_model("mnasnet0_5"))
    torch.save(theirs.state_dict(), hub / file_name("mnasnet0_5"))
    ours = build("mnasnet0_5", (3, 224, 224)).eval()
    assert ours.get_submodule("classifier.1").weight.shape == (5, 1280)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(ours.get_submodule("layers")(images), theirs.get_submodule("layers")(images))
        gray = images[:, :1]
        small = build("mnasnet0_5", (1, 224, 224)).eval().get_submodule("layers")(gray)
        torch.testing.assert_close(
            small, theirs.get_submodule("layers")(gray.expand(1, 3, 224, 224)), rtol=1e-3, atol=1e-4
        )


def test_small_images_change_no_weight(hub: Path) -> None:
    state = get_model("squeezenet1_1").state_dict()
    torch.save(state, hub / file_name("squeezenet1_1"))
    small = build("squeezenet1_1", (3, 9, 9))
    same = [name for name, value in small.state_dict().items() if value.shape == state[name].shape]
    assert set(state) - set(same) == {"classifier.1.weight", "classifier.1.bias"}
    assert all(torch.equal(small.state_dict()[name], state[name]) for name in same)


def test_old_names_of_dense_layers_are_translated(hub: Path) -> None:
    theirs = get_model("densenet121")
    old = {name: value for name, value in theirs.state_dict().items() if not name.endswith("num_batches_tracked")}
    for part in ("norm", "conv"):
        for number in "12":
            old = {name.replace(f".{part}{number}.", f".{part}.{number}."): value for name, value in old.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, hub / file_name("densenet121"))
    ours = build("densenet121", (3, 224, 224))
    pairs = zip(ours.named_parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(a, b) for (name, a), b in pairs if not name.startswith("classifier"))


@pytest.mark.parametrize("channels", [1, 3])
def test_googlenet_keeps_the_scaling_of_its_weights(hub: Path, channels: int) -> None:
    theirs: Any = unsettled(GoogLeNet(aux_logits=True, transform_input=True, init_weights=False))
    torch.save(theirs.state_dict(), hub / file_name("googlenet"))
    ours = build("googlenet", (channels, 224, 224)).eval()
    images = torch.randn(2, channels, 40, 40)
    scaled = theirs._transform_input(images.expand(2, 3, 40, 40))
    with torch.no_grad():
        maps, expected = ours.get_submodule("conv1")(images), theirs.conv1(scaled)
    torch.testing.assert_close(maps[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], rtol=1e-4, atol=1e-4)
    assert not ours.transform_input  # the state_dict alone defines the model


def test_position_embeddings_are_interpolated_to_the_image_size(hub: Path) -> None:
    vit = partial(VisionTransformer, patch_size=32, num_layers=1, num_heads=1, hidden_dim=4, mlp_dim=4)
    theirs, ours = vit(224), vit(128, num_classes=5)
    torch.save(theirs.state_dict(), hub / file_name("vit_b_32"))
    load_pretrained(ours, "vit_b_32")
    before, after = theirs.encoder.pos_embedding[0], ours.encoder.pos_embedding[0]
    assert after.shape == (17, 4)
    torch.testing.assert_close(after[0], before[0])  # the class token's
    grid, fitted = before[1:].view(7, 7, 4), after[1:].view(4, 4, 4)
    torch.testing.assert_close(fitted[::3, ::3], grid[::6, ::6])  # the corners stay the corners
    torch.testing.assert_close(fitted[1, 1], grid[2, 2])
    assert torch.equal(ours.encoder.ln.weight, theirs.encoder.ln.weight)


def test_error_without_network_names_weights_and_remedies(hub: Path) -> None:
    started = time.monotonic()
    with pytest.raises(PretrainedUnavailable) as caught:
        build("squeezenet1_1", (1, 28, 28))
    assert time.monotonic() - started < 10
    assert (caught.value.code, caught.value.origin) == ("pretrained_unavailable", "infrastructure")
    for word in ("SqueezeNet1_1_Weights.IMAGENET1K_V1", "download.pytorch.org", file_name("squeezenet1_1"), str(hub)):
        assert word in str(caught.value)
    assert list(hub.iterdir()) == []


def test_download_from_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(pretrained, "SECONDS_TO_ANSWER", 0.2)
        with pytest.raises(PretrainedUnavailable, match="timed out"):
            build("squeezenet1_1", (1, 28, 28))
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_damaged_file_is_named(hub: Path, content: bytes) -> None:
    file = hub / file_name("squeezenet1_1")
    file.write_bytes(content)
    with pytest.raises(PretrainedUnavailable, match="does not contain the weights") as caught:
        build("squeezenet1_1", (1, 28, 28))
    assert str(file) in str(caught.value)


def test_weights_of_another_network_are_refused(hub: Path) -> None:
    torch.save(get_model("squeezenet1_0").state_dict(), hub / file_name("squeezenet1_1"))
    with pytest.raises(PretrainedUnavailable, match="does not contain the weights"):
        build("squeezenet1_1", (1, 28, 28))


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("trapped"), "code was run"))


def test_no_code_in_a_file_is_run(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"features.0.weight": Trap()}, hub / file_name("squeezenet1_1"))
    with pytest.raises(PretrainedUnavailable):
        build("squeezenet1_1", (1, 28, 28))
    assert not (tmp_path / "trapped").exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(a folder, the address that it is served at)"""
    folder = tmp_path / "mirror"
    folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("honest", [True, False])
def test_download_must_match_the_hash_in_its_name(
    hub: Path, mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, honest: bool
) -> None:
    folder, address = mirror
    state = get_model("squeezenet1_1").state_dict()
    torch.save(state, folder / "weights.pth")
    digest = hashlib.sha256((folder / "weights.pth").read_bytes()).hexdigest()[:8]
    name = f"squeezenet1_1-{digest if honest else '01234567'}.pth"
    (folder / "weights.pth").rename(folder / name)
    monkeypatch.setattr(published("squeezenet1_1").value, "url", f"{address}/{name}")
    if honest:
        model = build("squeezenet1_1", (3, 28, 28))
        assert torch.equal(model.state_dict()["features.0.weight"], state["features.0.weight"])
        assert [file.name for file in hub.iterdir()] == [name]
    else:
        with pytest.raises(PretrainedUnavailable, match="invalid hash value"):
            build("squeezenet1_1", (3, 28, 28))
        assert list(hub.iterdir()) == []
