"""The computed shapes are compared with networks that torch builds and runs."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from service.core.errors import Invalid
from service.core.spec import build
from service.core.spec.layers import Layer, Layers
from service.core.spec.shapes import place
from workers.training.models.layers import build_layers

CLASSES = 7
HEAD = [{"type": "global_avg_pool"}, {"type": "linear"}]

windows = st.fixed_dictionaries(
    {"type": st.sampled_from(["max_pool2d", "avg_pool2d"]), "kernel_size": st.integers(1, 4)},
    optional={"stride": st.none() | st.integers(1, 3), "padding": st.integers(0, 2)},
)
convolutions = st.fixed_dictionaries(
    {"type": st.just("conv2d"), "channels": st.sampled_from([2, 4, 8]), "kernel_size": st.integers(1, 5)},
    optional={
        "stride": st.integers(1, 3),
        "padding": st.none() | st.integers(0, 3),
        "groups": st.sampled_from([1, 2]),
        "bias": st.booleans(),
    },
)
without_options = st.sampled_from(
    [{"type": name} for name in ("relu", "gelu", "batch_norm", "dropout2d")] + [{"type": "scale", "factor": 2}]
)
others = without_options | st.sampled_from([{"type": "group_norm", "groups": 2}, {"type": "dropout", "p": 0.1}])
plain = windows | convolutions | others
residuals = st.fixed_dictionaries({"type": st.just("residual"), "layers": st.lists(plain, min_size=1, max_size=4)})
bodies = st.lists(plain | residuals, max_size=6)
firsts = st.sampled_from([[], [{"type": "whitening"}], [{"type": "whitening", "kernel_size": 3}]])


def layers(*data: dict[str, Any]) -> tuple[Layer, ...]:
    network: Layers = build(Layers, {"layers": data})
    return network.layers


@given(
    firsts,
    bodies,
    st.sampled_from([(2, 12, 12), (4, 9, 13)]),
    st.sampled_from([[], [{"type": "linear", "features": 3}]]),
)
def test_shapes_and_parameters_equal_those_of_torch(
    first: list[dict[str, Any]],
    body: list[dict[str, Any]],
    shape: tuple[int, int, int],
    hidden: list[dict[str, Any]],
) -> None:
    network = layers(*first, *body, HEAD[0], *hidden, HEAD[1])
    try:
        placed = place(network, shape, CLASSES, "/model/layers")
    except Invalid:
        assume(False)
    built = build_layers(placed, stochastic_depth=0.0).eval()
    assert sum(p.parameters for p in placed) == sum(p.numel() for p in built.parameters())
    x = torch.zeros(2, *shape)
    for expected, module in zip(placed, built, strict=True):
        assert tuple(x.shape[1:]) == expected.input
        x = module(x)
        assert tuple(x.shape[1:]) == expected.output
    assert x.shape == (2, CLASSES)


@pytest.mark.parametrize(
    ("data", "pointer", "words", "allowed"),
    [
        ([{"type": "linear"}], "/0", ["layer 0 (linear)", "images [1, 8, 8]"], "flatten or global_avg_pool"),
        (
            [{"type": "flatten"}, {"type": "conv2d", "channels": 4}],
            "/1",
            ["layer 1 (conv2d)", "features [64]"],
            "before flatten",
        ),
        (
            [{"type": "max_pool2d"}, {"type": "max_pool2d", "kernel_size": 5}],
            "/1",
            ["layer 1", "window of 5", "4x4"],
            "smaller kernel_size",
        ),
        ([{"type": "max_pool2d", "padding": 2}], "/0", ["more than half"], "padding 0 to 1"),
        (
            [{"type": "conv2d", "channels": 6}, {"type": "group_norm", "groups": 4}],
            "/1",
            ["6 channels", "4 groups"],
            "divisor of 6",
        ),
        ([{"type": "conv2d", "channels": 6, "groups": 2}], "/0", ["1 input", "2 groups"], "divide both"),
        ([{"type": "conv2d", "channels": 4, "padding": 3}], "/0", ["as wide as the kernel"], "padding 0 to 2"),
        (
            [{"type": "flatten"}, {"type": "group_norm", "groups": 64}],
            "/1",
            ["a single value"],
            "fewer than 64",
        ),
        ([{"type": "flatten"}, {"type": "dropout2d"}], "/1", ["features [64]"], "before flatten"),
        ([{"type": "relu"}, {"type": "whitening"}], "/1", ["layer 1 (whitening)", "other layers"], "the first place"),
        ([{"type": "flatten"}], "", ["features [64]", "10 classes"], '{"type": "linear"}'),
        ([{"type": "relu"}], "", ["images [1, 8, 8]", "10 classes"], '{"type": "linear"}'),
        (
            [{"type": "residual", "layers": [{"type": "relu"}, {"type": "linear"}]}],
            "/0/layers/1",
            ["layer 0.1 (linear)"],
            "flatten",
        ),
        (
            [{"type": "residual", "layers": [{"type": "flatten"}]}],
            "/0",
            ["images [1, 8, 8] go in and features [64] come out"],
            "from images to images",
        ),
        (
            [{"type": "residual", "layers": [{"type": "conv2d", "channels": 4, "padding": 0}]}],
            "/0",
            ["no stride", "[4, 6, 6]"],
            "whole number",
        ),
    ],
)
def test_misfit_is_reported_with_its_index_and_shapes(
    data: list[dict[str, Any]], pointer: str, words: list[str], allowed: str
) -> None:
    with pytest.raises(Invalid) as caught:
        place(layers(*data), (1, 8, 8), 10, "/model/layers")
    (fault,) = caught.value.faults
    assert fault.pointer == "/model/layers" + pointer
    assert all(word in fault.detail for word in words), fault.detail
    assert fault.allowed is not None
    assert allowed in fault.allowed


def test_a_residual_counts_its_inner_values_too() -> None:
    residual = {"type": "residual", "layers": [{"type": "relu"}, {"type": "conv2d", "channels": 3}]}
    (block, *_) = place(layers(residual, *HEAD), (2, 4, 4), 5, "")
    assert block.values == 2 * 16 + 3 * 16 + 3 * 16


@pytest.mark.parametrize("more", [[], [{"type": "batch_norm"}], [{"type": "residual", "layers": [{"type": "relu"}]}]])
def test_a_network_without_weights_is_refused(more: list[dict[str, Any]]) -> None:
    with pytest.raises(Invalid, match="no weights") as caught:
        place(layers(*more, {"type": "global_avg_pool"}), (10, 8, 8), 10, "/model/layers")
    assert caught.value.faults[0].pointer == "/model/layers"


def test_multiplications_are_half_of_torchs_operations() -> None:
    body: list[dict[str, Any]] = [
        {"type": "conv2d", "channels": 6, "bias": False},
        {"type": "residual", "layers": [{"type": "conv2d", "channels": 8, "stride": 2, "groups": 2, "bias": False}]},
        {"type": "flatten"},
        {"type": "linear", "bias": False},
    ]
    placed = place(layers(*body), (3, 9, 7), CLASSES, "/model/layers")
    with FlopCounterMode(display=False) as counter:
        build_layers(placed, stochastic_depth=0.0)(torch.zeros(1, 3, 9, 7))
    assert sum(p.multiplications for p in placed) == counter.get_total_flops() // 2
