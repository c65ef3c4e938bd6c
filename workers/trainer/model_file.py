"""The file model.py: the best model as a program of its own, which needs torch and not Rightfit."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from textwrap import indent
from typing import Any

from service.core.spec import JobSpec
from workers.training.models.code import INDENT, Shape, code_of
from workers.training.views import NONE, source_of

TEMPLATE = Path(__file__).with_name("model.template")

PLAIN = "model(normalized(images))"
AVERAGED = "sum(share * model(view) for share, view in views(normalized(images)))"


def model_file(spec: JobSpec, shape: Shape, labels: Mapping[str, Any]) -> str:
    """The text of model.py for the network of a spec; `labels` is the content of labels.json."""
    code = code_of(spec, shape, len(labels["classes"]))
    preprocessing, normalization = labels["preprocessing"], labels["normalization"]
    channels, height, width = shape
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        arch=spec.model.arch,
        packages=" and ".join(("torch", *code.packages)),
        imports="".join(f"import {package}\n" for package in code.packages),
        classes=labels["classes"],
        classes_count=len(labels["classes"]),
        channels=channels,
        height=height,
        width=width,
        mean=normalization["mean"],
        std=normalization["std"],
        temperature=labels["probabilities"]["temperature"],
        background=repr(preprocessing["background"]),
        divisor=preprocessing["sixteen_bit_divisor"],
        resize=preprocessing["resize"]["mode"],
        modules="".join(code.modules),
        views=source_of(spec.test_time_augmentation),
        logits=f"return {PLAIN if spec.test_time_augmentation == NONE else AVERAGED}",
        body=indent(code.body, INDENT),
    )
