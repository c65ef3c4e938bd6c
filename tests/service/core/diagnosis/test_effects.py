"""The order of advice follows what the cures did on measured runs."""

import json

from service.core.diagnosis import RunContext, Verdict
from service.core.diagnosis.advice import advise
from service.core.diagnosis.effects import FILE, Effect, Effects
from service.core.records.builtin_datasets import CONTENTS_OF
from service.core.spec import JobSpec
from tests.golden.effects import MEASURED, change, table


def first(model: dict[str, object], dataset: str) -> str:
    spec = JobSpec.from_dict({"dataset": {"id": dataset}, "model": model}).filled(1)
    return advise([Verdict.OVERFITTING], RunContext(spec, CONTENTS_OF[dataset]))[0].id


def test_the_stored_table_is_that_of_the_measured_runs() -> None:
    assert json.loads(FILE.read_text()) == table(json.loads(MEASURED.read_text()))


def test_networks_and_kinds_of_pictures_get_other_advice() -> None:
    assert first({"arch": "cnn"}, "digits") == "batch_norm"
    assert first({"arch": "mlp"}, "digits") == "dropout"
    assert first({"arch": "mlp"}, "cifar10") == "trivial_augment"
    assert first({"arch": "cnn", "norm": "batch"}, "digits") != "batch_norm"


def test_the_first_cures_lowered_the_loss_and_raised_none() -> None:
    """Of the measured set-ups, with the advice that a user of each gets first."""
    outcomes = []
    for each in json.loads(MEASURED.read_text()):
        if each["problem"] != "overfitting":
            continue
        gray = each["data"] in ("digits", "clothes")
        cure = first({"arch": each["network"]}, "digits" if gray else "cifar10")
        mean, half = change(each["losses"][cure], each["losses"][""])
        outcomes.append(-1 if mean + half < 0 else 1 if mean - half > 0 else 0)
    assert outcomes.count(-1) >= 0.7 * len(outcomes)
    assert outcomes.count(1) == 0


def test_few_data_sets_promise_less_than_many() -> None:
    assert Effects(gray=Effect(1, 1)).promise(1) < Effects(gray=Effect(4, 4)).promise(1) < 1
    assert Effects(gray=Effect(2, 2)).promise(3) < Effects(colour=Effect(2, 2)).promise(3)
    assert Effects(gray=Effect(2, 0, 2)).promise(1) < Effects().promise(1) == 0


def test_the_reason_has_the_numbers() -> None:
    spec = JobSpec.from_dict({"dataset": {"id": "digits"}, "model": {"arch": "mlp"}}).filled(1)
    advice = advise([Verdict.OVERFITTING], RunContext(spec, CONTENTS_OF["digits"]))[0]
    assert "Measured with an mlp on 4 data sets: it lowered the loss on 3 and raised it on 0" in advice.reason
