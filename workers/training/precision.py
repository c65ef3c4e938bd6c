"""In what precision the forward and backward pass of training run, and whether the network is compiled for them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from service.core.spec import JobSpec


def autocast(spec: JobSpec, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """The context of a training forward pass: bfloat16 autocast, or nothing. Weights and scores stay float32.

    auto is bf16 on a GPU that computes in it, and fp32 on a CPU: there the gain hangs on the model (a large network
    on a CPU with avx512_bf16 or amx gains up to twice, a small one or another CPU loses), so it must be asked for.
    """
    on_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if spec.precision == "bf16" or (spec.precision == "auto" and on_gpu):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return nullcontext


def compiled(spec: JobSpec, model: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """What the training steps call: the model, or its compiled twin over the same parameters.

    auto does not compile: on a CPU it takes longer than it saves. `on` compiles; on a GPU with CUDA graphs, which
    spares small networks the cost of launching each operation.
    """
    if spec.compile != "on":
        return model
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    forward: Callable[[Tensor], Tensor] = torch.compile(model, mode=mode)
    return forward
