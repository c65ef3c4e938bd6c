"""The reference lists every field of every part of the spec with its default and range, and nothing else."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, NamedTuple

import pytest

from service.core.spec import JobSpec, augmentation, job, layers, models, parts
from service.core.spec.architectures import ARCHITECTURES
from service.docs.markdown import anchor
from service.docs.reference import reference
from service.schemas.spec import schema_of

PARTS: set[Any] = {
    kind
    for module in (job, parts, augmentation, layers, models)
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind) and all("option" in f.metadata for f in fields(kind))
}
HEADINGS: dict[Any, str] = {JobSpec: "The spec", models.Torchvision: "`model`: `torchvision`"} | {
    kind: f"`{where}`: `{next(f.default for f in fields(kind) if f.name in ('arch', 'type'))}`"
    for where, kinds in {
        "model": (models.Cnn, models.Mlp, layers.Layers),
        "layers": {kind for kind in PARTS if kind.__module__ == layers.__name__ and kind is not layers.Layers},
    }.items()
    for kind in kinds
}
ALONE: dict[Any, str] = {
    parts.Fold: "`dataset.fold`",
    augmentation.RandAugment: "`augmentation.rand_augment`",
    parts.Dataset: "`dataset`",
    parts.Optimizer: "`optimizer`",
    parts.Schedule: "`schedule`",
    parts.Regularization: "`regularization`",
    augmentation.Augmentation: "`augmentation`",
    parts.EarlyStopping: "`early_stopping`",
    parts.Webhook: "`webhook`",
}


class Row(NamedTuple):
    name: str
    type: str
    default: str
    allowed: str
    meaning: str


def sections() -> Iterator[tuple[str, list[Row], str]]:
    """Each heading, the rows of its table, and its text."""
    for text in re.split(r"^## ", reference(), flags=re.MULTILINE)[1:]:
        rows = [Row(*(cell.strip() for cell in line[1:-1].split("|"))) for line in text.splitlines() if line[:1] == "|"]
        yield text.splitlines()[0], rows[2:], text


SECTIONS = {heading: (rows, text) for heading, rows, text in sections()}


def default(f: Field[Any]) -> str:
    if f.default is not MISSING:
        return f"`{json.dumps(f.default)}`"
    if f.default_factory is MISSING:
        return "required"
    return {"labels": "`{}`", "model": "its own defaults, `cnn`"}.get(f.name, "its own defaults")


def test_each_part_of_the_spec_has_a_section() -> None:
    assert set((HEADINGS | ALONE).values()) == SECTIONS.keys()
    assert (HEADINGS | ALONE).keys() == PARTS
    assert len(SECTIONS) == len(list(sections()))


@pytest.mark.parametrize("kind", sorted(PARTS, key=str))
def test_a_section_lists_every_field_with_default_and_meaning(kind: Any) -> None:
    rows, text = SECTIONS[(HEADINGS | ALONE)[kind]]
    assert [row.name for row in rows] == [f"`{f.name}`" for f in fields(kind)]
    assert " ".join(kind.__doc__.split()) in text
    for row, f in zip(rows, fields(kind), strict=True):
        option = f.metadata["option"]
        assert row.default == default(f)
        assert row.meaning.startswith(option.meaning)
        assert all(note in row.meaning for note in (option.unit or "", option.since or ""))


@pytest.mark.parametrize("kind", sorted(PARTS, key=str))
def test_allowed_values_match_the_validation_of_requests(kind: Any) -> None:
    checked = schema_of(kind)().fields
    for row in SECTIONS[(HEADINGS | ALONE)[kind]][0]:
        field = checked[row.name.strip("`")]
        documented = re.sub(r"[`\[\]]|\(#[^)]*\)", "", f"{row.allowed} {row.type}")
        for bound in re.findall(r"[\d.]+(?: to (?:below )?[\d.]+| or more)|above [\d.]+", field.metadata["allowed"]):
            if "keys up to" not in field.metadata["allowed"]:
                assert bound in documented, row
        assert field.required == (row.default == "required")
        assert field.allow_none == row.type.endswith("or null")


def test_choices_are_listed_in_full() -> None:
    rows = {(heading, row.name): row for heading, (listed, _) in SECTIONS.items() for row in listed}
    assert rows["`optimizer`", "`name`"].allowed == "`adam`, `adamw`, `sgd`, `sgdw`"
    assert rows["`webhook`", "`events`"].allowed.startswith("1 to 9 entries, each `queued`, `running`")
    assert rows["The spec", "`seed`"].allowed == "0 to 4294967295"
    assert rows["`early_stopping`", "`baseline`"].allowed == "any"
    assert rows["`dataset`", "`id`"].allowed == "1 to 100 characters"
    names = SECTIONS["`model`: `torchvision`"][1].partition("Names of `arch`: ")[2]
    assert re.findall(r"`([\w/]+)`", names) == list(ARCHITECTURES)


def test_links_lead_to_existing_sections() -> None:
    anchors = {anchor(heading) for heading in SECTIONS}
    assert len(anchors) == len(SECTIONS)
    assert set(re.findall(r"\(#([^)]*)\)", reference())) == anchors - {anchor("The spec")}
