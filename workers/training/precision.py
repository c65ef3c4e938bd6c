"""The precision of the forward and backward passes in training, and the compilation of the network."""

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

# The environment variable with the compiler, and its default names, as in torch and Triton.
COMPILERS = {"cpu": ("CXX", "g++", "clang++"), "cuda": ("CC", "gcc", "clang")}
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # without them a CPU emulates bfloat16, several times slower
# Limits for bf16 on a CPU. Measured on 2 cores with avx512_bf16, in batches that alternate with fp32: 1.1 to 1.9 times
# as fast above them (cnn, mlp, resnet18, densenet121, vit_b_16, swin_t), 0.6 to 0.96 times below (mobilenet_v2,
# efficientnet_b0, shufflenet).
LEAST_MULTIPLICATIONS = 40_000_000  # in the forward pass of a batch
LEAST_INTENSITY = 50  # multiplications per output value of a layer


def choose_precision(spec: JobSpec, model: nn.Module, shape: tuple[int, int, int], device: torch.device) -> Precision:
    """The precision of the spec; for auto, bf16 where it is faster.

    That is on a GPU with bf16, and on a CPU with bf16 instructions for a network with many multiplications on images of
    `shape` (channels, height, width). Decided by counts and not by timing, so that a run is reproducible.
    """
    if spec.precision != "auto":
        return spec.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _cpu_has_bf16() and _mostly_multiplies(model, shape, spec.batch_size, device) else "fp32"


def autocast(precision: Precision, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """A function for the context of a training forward pass: bfloat16 autocast, or none. Weights stay float32."""
    if precision == "bf16":
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def compiled(spec: JobSpec, model: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The forward function of the training steps: the model, or its compiled form with the same parameters.

    auto does not compile, because on a CPU compilation takes longer than it saves. `on` compiles; on a GPU it uses CUDA
    graphs, which save small networks the launches of single kernels. Raises CompilerUnavailable without a compiler:
    torch.compile needs one for C++ on a CPU, and one for C on a GPU (for Triton's launchers).
    """
    if spec.compile != "on":
        return model
    variable, first, second = COMPILERS[device.type]
    if not any(map(shutil.which, [os.environ.get(variable, first), second])):
        raise CompilerUnavailable(
            f"compile on needs a compiler ({first} or {second}), and this worker has none; use compile off"
        )
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    forward: Callable[[Tensor], Tensor] = torch.compile(model, mode=mode)
    return forward


def _cpu_has_bf16() -> bool:
    if not hasattr(torch.cpu, "get_capabilities"):  # missing in older torch
        return False
    has = torch.cpu.get_capabilities()
    return any(has.get(name, False) for name in BF16_INSTRUCTIONS)


@torch.no_grad()
def _mostly_multiplies(model: nn.Module, shape: tuple[int, int, int], batch_size: int, device: torch.device) -> bool:
    """Whether one image in eval mode meets both limits. Group norm is not faster in bf16 and cancels the gain."""
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
