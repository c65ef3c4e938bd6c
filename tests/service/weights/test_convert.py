"""Weights in files of torch and of safetensors, converted; hostile files, refused with the reason."""

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import get_model

from service.core.spec.states import CONSTANT, state_shapes
from service.weights.check import Checked
from service.weights.convert import convert
from service.weights.stored_tensor import UnreadableFile
from tests.service.small_weights import Malicious, compressed

ARCH = "squeezenet1_1"

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    return dict(get_model(ARCH, num_classes=7).state_dict())


def converted(folder: Path, upload: Path, arch: str = ARCH) -> tuple[Checked, State]:
    with (folder / "target.safetensors").open("wb") as target:
        checked = convert(arch, upload, target)
    return checked, load_file(folder / "target.safetensors")


def saved(folder: Path, content: Any, **options: Any) -> Path:
    torch.save(content, folder / "model.pth", **options)
    return folder / "model.pth"


def refusal(folder: Path, upload: Path, arch: str = ARCH) -> str:
    with pytest.raises(UnreadableFile) as caught:
        converted(folder, upload, arch)
    return str(caught.value)


def assert_equal(loaded: State, state: State) -> None:
    assert all(torch.equal(loaded[name], state[name]) for name in loaded)
    assert {name for name in state if not name.endswith(CONSTANT)} == set(loaded)


@pytest.mark.parametrize("is_zip", [True, False])
def test_state_dict_of_torch_is_converted(tmp_path: Path, state: State, is_zip: bool) -> None:
    upload = saved(tmp_path, state, _use_new_zipfile_serialization=is_zip)
    checked, loaded = converted(tmp_path, upload)
    assert_equal(loaded, state)
    assert (checked.classes, checked.channels) == (7, 3)


def test_safetensors_are_converted(tmp_path: Path, state: State) -> None:
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    assert_equal(converted(tmp_path, tmp_path / "model.safetensors")[1], state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_of_values_are_kept(tmp_path: Path, state: State, dtype: torch.dtype) -> None:
    other = {name: value.to(dtype) for name, value in state.items()}
    assert_equal(converted(tmp_path, saved(tmp_path, other))[1], other)


def test_views_and_permuted_tensors_are_copied(tmp_path: Path, state: State) -> None:
    permuted = {k: v.to(memory_format=torch.channels_last) if v.ndim == 4 else v for k, v in state.items()}
    both = torch.stack([state["features.0.bias"], torch.ones(64)])
    permuted["features.0.bias"] = both[0]
    assert_equal(converted(tmp_path, saved(tmp_path, permuted))[1], state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3, "lr": 0.1},
        lambda state: {"model": {f"_orig_mod.{k}": v for k, v in state.items()}},
        lambda state: {k: nn.Parameter(v) for k, v in state.items()},
    ],
)
def test_checkpoint_of_a_training_program_is_converted(
    tmp_path: Path, state: State, wrap: Callable[[State], Any]
) -> None:
    assert_equal(converted(tmp_path, saved(tmp_path, wrap(state)))[1], state)


@pytest.mark.parametrize("arch", ["resnet18", "googlenet", "swin_t"])
def test_counters_and_constants_are_left_out(tmp_path: Path, arch: str) -> None:
    own = get_model(arch, weights=None, **({"init_weights": False} if arch == "googlenet" else {})).state_dict()
    loaded = converted(tmp_path, saved(tmp_path, own), arch)[1]
    assert set(own) > set(loaded)
    assert all(value.is_floating_point() and torch.equal(value, own[name]) for name, value in loaded.items())


def test_old_names_of_densenet_are_renewed(tmp_path: Path) -> None:
    own = get_model("densenet121", weights=None).state_dict()
    old = {name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value for name, value in own.items()}
    assert set(old) != set(own)
    assert_equal(converted(tmp_path, saved(tmp_path, old), "densenet121")[1], dict(own))


def test_weights_without_a_last_layer_are_accepted(tmp_path: Path, state: State) -> None:
    backbone = {name: value for name, value in state.items() if not name.startswith("classifier.1")}
    checked, loaded = converted(tmp_path, saved(tmp_path, backbone))
    assert checked.classes is None
    assert_equal(loaded, backbone)


@pytest.mark.parametrize("is_zip", [True, False])
def test_nothing_in_a_pickle_is_run(tmp_path: Path, state: State, is_zip: bool) -> None:
    trace = tmp_path / "trace"
    upload = saved(tmp_path, {**state, "extra": Malicious(trace)}, _use_new_zipfile_serialization=is_zip)
    assert "mkdir" in refusal(tmp_path, upload)
    assert not trace.exists()


def test_plain_pickle_is_refused(tmp_path: Path) -> None:
    upload = tmp_path / "model.pth"
    upload.write_bytes(pickle.dumps(Malicious(tmp_path / "trace")))
    assert "mkdir" in refusal(tmp_path, upload)
    upload.write_bytes(pickle.dumps({"a": 1}))
    assert "neither safetensors nor" in refusal(tmp_path, upload)


def test_whole_model_is_refused_with_the_way_to_save_it(tmp_path: Path) -> None:
    assert "Linear" in refusal(tmp_path, saved(tmp_path, nn.Linear(2, 2)))
    assert "save model.state_dict()" in refusal(tmp_path, saved(tmp_path, {"epoch": 3}))


def test_compressed_zip_is_refused(tmp_path: Path, state: State) -> None:
    bomb = tmp_path / "bomb.pth"
    bomb.write_bytes(compressed(saved(tmp_path, state).read_bytes()))
    assert "compressed" in refusal(tmp_path, bomb)
    with zipfile.ZipFile(bomb, "w") as target:
        target.writestr("a/data.pkl", bytes((16 << 20) + 1))
    assert "not one of torch.save" in refusal(tmp_path, bomb)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("features.0.weight"), "features.0.weight is missing"),
        (lambda s: s.update(extra=torch.zeros(2)), "extra is unknown"),
        (lambda s: s.update({"features.0.bias": torch.zeros(3)}), "has the shape [3], and in squeezenet1_1 [64]"),
        (lambda s: s.update({"features.0.bias": torch.full((64,), torch.nan)}), "features.0.bias has values that are"),
        (lambda s: s.update({"features.0.bias": torch.zeros(64).int()}), "values of the type I32"),
        (lambda s: s.update({"classifier.1.bias": torch.zeros(8)}), "classifier.1.bias has the shape [8]"),
        (
            lambda s: s.update({k: torch.zeros(1).expand(10**9, *v.shape[1:]) for k, v in s.items() if "fier.1" in k}),
            "share their values",
        ),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_weights_are_refused_with_the_tensor(
    tmp_path: Path, state: State, change: Callable[[State], None], words: str, dtype: torch.dtype
) -> None:
    other = dict(state)
    change(other)
    other = {k: v.to(dtype) if v.is_floating_point() and v.numel() < 10**8 else v for k, v in other.items()}
    assert words in refusal(tmp_path, saved(tmp_path, other))


def test_weights_of_another_architecture_are_refused(tmp_path: Path, state: State) -> None:
    assert "not those of resnet18" in refusal(tmp_path, saved(tmp_path, state), "resnet18")


def test_position_embeddings_may_be_of_any_square(tmp_path: Path) -> None:
    shapes = {**state_shapes("vit_b_32").tensors, "encoder.pos_embedding": (1, 5, 768)}
    small = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    assert "share their values" in refusal(tmp_path, saved(tmp_path, small), "vit_b_32")  # the last check of shapes
    small["encoder.pos_embedding"] = torch.zeros(1, 7, 768)
    assert "pos_embedding has the shape [1, 7, 768]" in refusal(tmp_path, saved(tmp_path, small), "vit_b_32")


def header(tensors: Any, content: bytes = b"", length: int | None = None) -> bytes:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header({}, length=1 << 40), "header is cut off"),
        (header(b"{{"), "header is broken"),
        (header(b"{" + b'"a":{' * 100_000), "header is broken"),
        (header({"a": 1}), "header is broken"),
        (header({"a": TENSOR}), "as many bytes as its shape needs"),
        (header({"a": TENSOR | {"shape": [3]}}, bytes(8)), "as many bytes as its shape needs"),
        (header({"a": TENSOR | {"shape": [-2]}}, bytes(8)), "a shape that is none"),
        (header({"a": TENSOR | {"dtype": "F3"}}, bytes(8)), "values of the type F3"),
        (b"", "pickle is broken"),
        (b"nothing of the kind", "pickle"),
        (b"PK\x05\x06" + bytes(18), "not one of torch.save"),
    ],
)
def test_broken_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "model").write_bytes(content)
    assert words in refusal(tmp_path, tmp_path / "model")


def test_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    small = {"a": torch.zeros(2), "b": torch.zeros(2, dtype=torch.int64)}
    for is_zip in (True, False):
        whole = saved(tmp_path, small, _use_new_zipfile_serialization=is_zip).read_bytes()
        for length in range(0, len(whole), 7):
            (tmp_path / "part").write_bytes(whole[:length])
            refusal(tmp_path, tmp_path / "part")


def test_long_memo_and_long_pickle_take_no_memory(tmp_path: Path) -> None:
    upload = tmp_path / "model.pth"
    for pickled, words in (
        (b"\x80\x02}r\xff\xff\xff\xff.", "neither safetensors nor"),
        (b"\x80\x02" + b"}" * 600_000 + b".", "too long"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f", "broken"),
    ):
        upload.write_bytes(pickled)
        assert words in refusal(tmp_path, upload)
