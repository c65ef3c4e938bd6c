"""Specs from files: YAML as its present standard has it, JSON, and single values from the command line."""

import json
import math

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli import specs

FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | FINITE | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc<=", max_size=4), inner, max_size=4),
)


@given(PLAIN)
def test_json_is_read_as_json_reads_it(value: object) -> None:
    assert specs.parse(json.dumps(value), "x") == value


def test_plain_scalars_follow_the_core_schema() -> None:
    read = specs.parse(
        "{lr: 1e-3, l1: 1.e-6, seed: 07, compile: off, on: yes, pretrained: true, webhook: ~, a: 0, b: no,"
        " date: 2026-11-28, name: 1_000, <<: x, value: =}",
        "x",
    )
    numbers = {"lr": 1e-3, "l1": 1e-6, "seed": 7, "a": 0}
    words = {"compile": "off", "on": "yes", "b": "no", "date": "2026-11-28", "name": "1_000", "<<": "x", "value": "="}
    assert read == numbers | words | {"pretrained": True, "webhook": None}
    assert math.isclose(specs.parse("-.5e2", "x"), -50)


def test_set_creates_missing_objects_on_its_path() -> None:
    text = "model: {arch: layers, layers: [{type: conv2d, channels: 8}]}\nearly_stopping: null\n"
    changes = (
        "model.layers.0.channels=16",
        "early_stopping.patience=3",
        "labels={a: b}",
        "optimizer.lr=1e-2",
        "name=x=y",
    )
    spec = specs.read_spec(text, changes)
    assert spec["model"] == {"arch": "layers", "layers": [{"type": "conv2d", "channels": 16}]}
    assert spec["early_stopping"] == {"patience": 3}
    assert spec["optimizer"] == {"lr": 0.01}
    assert (spec["labels"], spec["name"], len(spec)) == ({"a": "b"}, "x=y", 5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("epochs", "is not PATH=VALUE"),
        ("a.1.b=2", "1 is not an index; the list has 1 items"),
        ("a.x=2", "x is not an index"),
        ("b.c=2", "b is 3, which has no members"),
        ("b=[1", "neither YAML nor JSON"),
        ("b=!!python/name:os.system", "neither YAML nor JSON"),
        ("b=!!set {x}", "a value that JSON does not have"),
        ("b=1e999", "a value that JSON does not have"),
        ("b={[1]: 2}", "a value that JSON does not have"),
        ("b={x: 1, x: 2}", "line 1 repeats a key"),
    ],
)
def test_an_impossible_change_is_an_error(change: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        specs.read_spec("a: [1]\nb: 3\n", (change,))
