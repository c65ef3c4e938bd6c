"""torch's optimizers without their hooks for torch.compile, which import the compiler at the first call.

That import takes as long as the import of torch itself, and Rightfit compiles networks but never an optimizer. The
updates are torch's own, so weights and state dicts are the same bit for bit. SGDW is the one that torch lacks.
"""

import inspect

import torch
from torch import optim

DECAY = "decoupled_decay"  # in a group of parameters of SGDW: the strength


class _Eager(optim.Optimizer):
    """The methods of torch.optim.Optimizer as they were before torch decorated them."""

    add_param_group = inspect.unwrap(optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(optim.Optimizer.zero_grad)


class Adam(_Eager, optim.Adam):
    """Kingma and Ba, "Adam" (2015), with coupled weight decay."""

    step = torch.no_grad()(inspect.unwrap(optim.Adam.step))


class AdamW(_Eager, optim.AdamW):
    """Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019)."""

    step = torch.no_grad()(inspect.unwrap(optim.AdamW.step))


class SGD(_Eager, optim.SGD):
    """Stochastic gradient descent with momentum and coupled weight decay."""

    step = torch.no_grad()(inspect.unwrap(optim.SGD.step))


class SGDW(SGD):
    """SGD with decoupled weight decay, w <- (1 - lr * decay) * w before the step: Loshchilov and Hutter (2019).

    As in torch's AdamW the learning rate is a factor of the decay, and the averaged gradients do not contain it. Each
    group of parameters has its DECAY.
    """

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # the loop computes the gradients, so there is no closure
        for group in self.param_groups:
            trained = [p for p in group["params"] if p.grad is not None]
            if group[DECAY] and trained:
                torch._foreach_mul_(trained, 1 - group["lr"] * group[DECAY])
        super().step()
