"""The order of advice follows what the cures did on measured runs."""

import json
from itertools import product

from service.core.diagnosis import RunContext, Verdict
from service.core.diagnosis.advice import advise
from service.core.diagnosis.effects import FILE, Effect, Effects, Table, ordered
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.records.dataset import Contents
from service.core.spec import JobSpec
from tests.golden.effects import MEASURED, PAGE, changes, foretold, page, table
from tests.golden.pretrained import DATA as PHOTOGRAPHS
from tests.golden.pretrained import WEIGHTS


def first(model: dict[str, object], dataset: str) -> str:
    spec = JobSpec.from_dict({"dataset": {"id": dataset}, "model": model}).filled(1)
    return advise([Verdict.OVERFITTING], RunContext(spec, CONTENTS_OF[dataset]))[0].id


def test_the_stored_table_is_that_of_the_measured_runs() -> None:
    assert json.loads(FILE.read_text()) == table(json.loads(MEASURED.read_text()))


def test_networks_get_other_advice() -> None:
    assert first({"arch": "cnn"}, "digits") == "batch_norm"
    assert first({"arch": "mlp"}, "digits") == "dropout"
    assert first({"arch": "mlp"}, "cifar10") == "trivial_augment"
    assert first({"arch": "cnn", "norm": "batch"}, "digits") != "batch_norm"


def test_the_first_cures_lowered_the_loss_and_raised_none() -> None:
    """Of the measured set-ups, with the advice that a user of each gets first."""
    outcomes = []
    for each in json.loads(MEASURED.read_text()):
        if each["problem"] != "overfitting" or each["data"] in PHOTOGRAPHS:
            continue
        gray = each["data"] in ("digits", "clothes")
        cure = first({"arch": each["network"]}, "digits" if gray else "cifar10")
        outcomes.append(dict(changes(each["losses"]))[cure].outcome)
    assert outcomes.count(-1) >= 0.7 * len(outcomes)
    assert outcomes.count(1) == 0


def test_pretrained_weights_come_first_for_few_photographs() -> None:
    photographs = Contents(("cat", "dog"), (50, 50), (3, 64, 64))
    for arch, verdict in product(("cnn", "mlp"), (Verdict.OVERFITTING, Verdict.STAGNANT_GENERALIZATION)):
        spec = JobSpec.from_dict({"dataset": {"id": "pets"}, "model": {"arch": arch}}).filled(1)
        advice = advise([verdict], RunContext(spec, photographs, weights=WEIGHTS))[0]
        assert (advice.id, len(advice.patch)) == ("pretrained", 1)
        assert "on 3 data sets: it lowered the loss on 3 and raised it on 0" in advice.reason
        assert advise([verdict], RunContext(spec, photographs, has_published_weights=False))[0].patch == []


def test_first_advice_raises_the_loss_on_no_unmeasured_set() -> None:
    outcomes = [change.outcome for _, _, change in foretold(json.loads(MEASURED.read_text()))]
    assert len(outcomes) > 25
    assert outcomes.count(1) == 0
    assert outcomes.count(-1) >= len(outcomes) / 3


def test_the_page_is_that_of_the_measured_runs() -> None:
    assert PAGE.read_text() == page(json.loads(MEASURED.read_text()))


def test_few_data_sets_promise_less_than_many() -> None:
    one, two, four = (Effect(sets, evidence=sets) for sets in (1, 2, 4))
    assert Effects(gray=one).promise(1) < Effects(gray=four).promise(1) < 1
    assert Effects(gray=two).promise(3) < Effects(colour=two).promise(3)
    assert Effects(gray=Effect(2, evidence=-2)).promise(1) < Effects().promise(1) == 0


def test_unknown_pictures_are_between_gray_and_colour_ones() -> None:
    one = Effects(gray=Effect(2, evidence=4), colour=Effect(2, evidence=2))
    other = Effects(gray=Effect(), colour=Effect(2, evidence=4))
    known: Table = {("overfitting", "cnn"): {"dropout": one, "color_jitter": other}}

    def first(*channels: int) -> str:
        return ordered(Verdict.OVERFITTING, ("dropout", "color_jitter"), ("cnn",), channels, {}, known)[0]

    assert (first(1), first(3), first(1, 3)) == ("dropout", "color_jitter", "dropout")


def test_the_reason_has_the_numbers() -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "model": {"arch": "mlp"}}).filled(1)
    advice = advise([Verdict.OVERFITTING], RunContext(spec, CONTENTS_OF["digits"]))[0]
    assert "Measured with an mlp on 4 data sets: it lowered the loss on 4 and raised it on 0" in advice.reason
