"""Fully connected layers from features to logits."""

from collections.abc import Sequence

from torch import nn


def dense(inputs: int, hidden: Sequence[int], classes: int, dropout: float, drop_input: bool) -> list[nn.Module]:
    """Linear and ReLU for each hidden width, then the linear output layer; features [N, inputs] to logits [N, classes].

    Dropout (Srivastava et al., 2014) acts on the input of every linear layer but the first, and of the first as
    well where `drop_input`. `dropout` is the probability, from 0 to below 1.
    """
    layers: list[nn.Module] = []
    for number, width in enumerate((*hidden, classes)):
        if dropout and (number or drop_input):
            layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(inputs, width))
        if number < len(hidden):
            layers.append(nn.ReLU())
        inputs = width
    return layers
