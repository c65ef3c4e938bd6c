"""In what precision the forward and backward pass of training run, and whether the network is compiled for them."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from service.core.errors import CompilerUnavailable
from service.core.spec import JobSpec
from workers.training.evaluate import eval_mode

Precision = Literal["fp32", "bf16"]

# The variable that names one, and the names that are looked for: as torch and Triton do.
COMPILERS = {"cpu": ("CXX", "g++", "clang++"), "cuda": ("CC", "gcc", "clang")}
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # without them a CPU emulates bfloat16, several times slower
# Where bf16 gained on 2 cores with avx512_bf16, batch after batch beside fp32: 1.1 to 1.9 times from these on (cnn,
# mlp, resnet18, densenet121, vit_b_16, swin_t), 0.6 to 0.96 times below (mobilenet_v2, efficientnet_b0, shufflenet).
LEAST_MULTIPLICATIONS = 40_000_000  # of a batch's forward pass
LEAST_INTENSITY = 50  # multiplications for each value that a layer puts out


def choose_precision(spec: JobSpec, model: nn.Module, shape: tuple[int, int, int], device: torch.device) -> Precision:
    """What the spec asks for; of auto, bf16 where it gains.

    That is on a GPU that computes in it, and on a CPU that does, for a network that mostly multiplies, on images of
    `shape` (channels, height, width). Decided by counting, never by timing: the same run is the same again.
    """
    if spec.precision != "auto":
        return spec.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _cpu_has_bf16() and _mostly_multiplies(model, shape, spec.batch_size, device) else "fp32"


def autocast(precision: Precision, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """The context of a training forward pass: bfloat16 autocast, or nothing. Weights and scores stay float32."""
    if precision == "bf16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def compiled(spec: JobSpec, model: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """What the training steps call: the model, or its compiled twin over the same parameters.

    auto does not compile: on a CPU it takes longer than it saves. `on` compiles; on a GPU with CUDA graphs, which
    spares small networks the cost of launching each operation. Raises CompilerUnavailable where there is none: on a CPU
    one for C++ compiles the network, on a GPU one for C what launches Triton's kernels.
    """
    if spec.compile != "on":
        return model
    variable, first, second = COMPILERS[device.type]
    if not any(map(shutil.which, [os.environ.get(variable, first), second])):
        raise CompilerUnavailable(
            f"compile on needs a compiler ({first} or {second}) on the worker, and there is none; use compile off"
        )
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    forward: Callable[[Tensor], Tensor] = torch.compile(model, mode=mode)
    return forward


def _cpu_has_bf16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch cannot tell
        return False
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in BF16_INSTRUCTIONS)


@torch.no_grad()
def _mostly_multiplies(model: nn.Module, shape: tuple[int, int, int], batch_size: int, device: torch.device) -> bool:
    """Whether one image in eval mode meets both counts. Group norm is no faster in bf16 and undoes what is gained."""
    if any(isinstance(module, nn.GroupNorm) for module in model.modules()):
        return False
    multiplications = values = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal multiplications, values
        values += output.numel()
        if isinstance(module, nn.Conv2d | nn.Linear):
            multiplications += output.numel() * module.weight[0].numel()

    leaves = [module for module in model.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    try:
        with eval_mode(model):
            model(torch.zeros(1, *shape, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return multiplications * batch_size >= LEAST_MULTIPLICATIONS and multiplications >= values * LEAST_INTENSITY
