"""torch's optimizers without their hooks for torch.compile, which import the compiler at the first call.

That import takes as long as the import of torch itself, and Rightfit compiles networks but never an optimizer. The
updates are torch's own, so weights and state dicts are the same bit for bit.
"""

import inspect

import torch
from torch import optim


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
