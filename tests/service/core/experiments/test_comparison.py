"""Comparisons by hand: which fields, which numbers, which verdict."""

import math
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from service.core.evaluation.paired import McNemar, Paired
from service.core.experiments.comparison import Comparison, compare
from service.core.experiments.difference import DifferenceVerdict, Pairs
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.records.job import Job, Status, StopReason
from service.core.spec import JobSpec
from service.core.spec.diff import differing

FACTS = Facts(images={"train": 800, "validation": 400, "test": 0}, trivial_loss=2.3, trivial_accuracy=0.1)


def spec(**changes: Any) -> JobSpec:
    return JobSpec.from_dict({"dataset": {"id": "digits"}, **changes}).filled(1)


def best(val_loss: float, accuracy: float = 0.9, se: float | None = 0.01) -> Epoch:
    return Epoch(4, 0.5, None, val_loss, 0.9, accuracy, 0.0, 1e-3, 1.0, 10.0, True, 0, val_loss_se=se)


def job(name: str, best_epoch: Epoch | None, split: str | None = "one", **changes: Any) -> Job:
    """A succeeded job of 6 epochs; what is not set here is None."""
    unset: dict[str, Any] = dict.fromkeys(field.name for field in fields(Job))
    values = {
        "id": name,
        "tenant": "t",
        "spec": spec(**changes),
        "status": Status.SUCCEEDED,
        "stop_reason": StopReason.MAX_EPOCHS,
        "attempt": 1,
        "version": 3,
        "cancel_requested": False,
        "pause_requested": False,
        "lost_attempts": (),
        "releases": 0,
        "warnings": (),
        "created_at": 0,
        "started_at": 0,
        "finished_at": 9,
        "best": best_epoch,
        "last": replace(best_epoch, epoch=6) if best_epoch else None,
        "transitions": (),
        "facts": FACTS,
        "split": split,
    }
    return Job(**unset | values)


def both(first: Job, other: Job) -> Comparison:
    return compare([first, other], {first.id: 8.0, other.id: 9.0}, {})


def pair(loss: float, error: float, gained: int = 12, lost: int = 3) -> Paired:
    """A difference on 48 images."""
    interval = (loss - 1.96 * error, loss + 1.96 * error)
    accuracy = (gained - lost) / 48
    return Paired(48, loss, error, interval, accuracy, 0.08, (0.02, 0.34), McNemar(gained, lost, 0.0352))


def pointers(*specs: JobSpec) -> list[str]:
    return [field.pointer for field in differing({str(i): one.to_dict() for i, one in enumerate(specs)})]


def test_differing_fields_are_in_the_order_of_the_spec() -> None:
    differences = differing({"a": spec(epochs=5).to_dict(), "b": spec(regularization={"dropout": 0.5}).to_dict()})
    assert [(f.pointer, dict(f.values)) for f in differences] == [
        ("/epochs", {"a": 5, "b": 100}),
        ("/regularization/dropout", {"a": 0.0, "b": 0.5}),
    ]
    assert pointers(spec(), spec()) == []


def test_a_list_and_a_part_that_is_null_differ_as_a_whole() -> None:
    assert pointers(spec(model={"channels": [8, 16]}), spec(model={"channels": [8, 32]})) == ["/model/channels"]
    assert pointers(spec(early_stopping=None), spec()) == ["/early_stopping"]
    layers = [{"type": "flatten"}, {"type": "linear"}]
    more = [{"type": "flatten"}, {"type": "relu"}, {"type": "linear"}]
    one, two = ({"arch": "layers", "layers": given} for given in (layers, more))
    assert pointers(spec(model=one), spec(model=two)) == ["/model/layers"]


def test_a_differing_field_has_values_of_the_specs_that_have_it() -> None:
    differences = differing({"a": spec().to_dict(), "b": spec(model={"arch": "mlp", "hidden": [128]}).to_dict()})
    values = {field.pointer: dict(field.values) for field in differences}
    assert values["/model/arch"] == {"a": "cnn", "b": "mlp"}
    assert values["/model/kernel_size"] == {"a": 3}
    assert "/model/hidden" not in values


def test_names_and_labels_differ_only_if_nothing_else_does() -> None:
    named = {"name": "x", "labels": {"a/b": "1"}, "priority": 9}
    assert pointers(spec(), spec(**named)) == ["/name", "/priority", "/labels/a~1b"]
    assert pointers(spec(), spec(**named, epochs=5)) == ["/epochs"]


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [
        (0.47, DifferenceVerdict.BETTER),
        (0.53, DifferenceVerdict.WORSE),
        (0.48, DifferenceVerdict.SAME),
        (0.52, DifferenceVerdict.SAME),
        (0.50, DifferenceVerdict.SAME),
    ],
)
def test_a_difference_counts_where_its_interval_leaves_out_zero(loss: float, verdict: DifferenceVerdict) -> None:
    (difference,) = both(job("a", best(0.5)), job("b", best(loss))).differences
    assert difference.validation.loss == pytest.approx(loss - 0.5)
    assert difference.validation.standard_error == pytest.approx(0.01 * math.sqrt(2))
    assert difference.validation.interval is not None
    half = 1.96 * 0.01 * math.sqrt(2)
    assert difference.validation.interval == pytest.approx((loss - 0.5 - half, loss - 0.5 + half))
    assert difference.verdict is verdict
    assert (difference.job, difference.against, difference.same_split) == ("b", "a", True)
    assert "not both jobs have predictions" in difference.note


def test_jobs_on_the_same_images_are_compared_image_by_image() -> None:
    first, other = job("a", best(0.5)), job("b", best(0.49))
    comparison = compare([first, other], {}, {"b": Pairs(pair(-0.01, 0.002))})
    (difference,) = comparison.differences
    assert difference.verdict is DifferenceVerdict.BETTER, "as two samples it would be within the noise"
    assert difference.validation.is_paired
    assert difference.validation.interval == pytest.approx((-0.01392, -0.00608))
    assert difference.validation.accuracy_points == pytest.approx(100 * 9 / 48)
    assert "image by image (paired)" in difference.note
    assert "± 0.0039 (95 %, paired)): better beyond noise." in comparison.summary[0]
    assert comparison.summary[0].endswith("(12 images gained, 3 lost of 48; by chance with probability 0.035).")


def test_a_likely_difference_names_the_images_to_prove_it() -> None:
    first, other = job("a", best(0.5)), job("b", best(0.4))
    (said,) = compare([first, other], {}, {"b": Pairs(pair(-0.1, 0.06))}).summary
    needed = 48 * (2.80 * 0.06 / 0.1) ** 2  # 136, with 1.96 + 0.84 standard errors
    assert f"{needed:.0f}" == "135"
    assert ": likely better (95% sure); 48 validation images cannot settle it, about 140 could." in said
    (worse,) = compare([first, other], {}, {"b": Pairs(pair(0.1, 0.06))}).summary
    assert ": likely worse (95% sure); 48 validation images" in worse
    (small,) = compare([first, other], {}, {"b": Pairs(pair(-0.05, 0.06))}).summary
    assert ": hardly different (better with a probability of 80%); 48 validation images cannot settle it, " in small
    assert all("no difference" not in sentence for sentence in (said, worse, small))


def test_tests_of_both_jobs_are_compared_too() -> None:
    def tested(name: str, loss: float) -> Job:
        facts = {**asdict(FACTS), "test": {"loss": loss, "accuracy": 0.9, "loss_se": 0.03}}
        facts["images"] = {**FACTS.images, "test": 100}
        return replace(job(name, best(0.5)), facts=Facts.from_dict(facts))

    first, other = tested("a", 0.6), tested("b", 0.5)
    as_samples = compare([first, other], {}, {}).differences[0].test
    assert as_samples is not None
    assert (as_samples.is_paired, as_samples.images) == (False, 100)
    assert as_samples.loss == pytest.approx(-0.1)
    assert as_samples.standard_error == pytest.approx(0.03 * math.sqrt(2))
    by_image = compare([first, other], {}, {"b": Pairs(test=pair(-0.1, 0.02))}).differences[0].test
    assert by_image is not None
    assert (by_image.is_paired, by_image.images, by_image.standard_error) == (True, 48, 0.02)
    assert both(first, job("b", best(0.5))).differences[0].test is None


def test_accuracies_are_compared_in_points_with_binomial_noise() -> None:
    (difference,) = both(job("a", best(0.5, 0.9)), job("b", best(0.5, 0.8))).differences
    assert difference.validation.accuracy_points == pytest.approx(-10)
    assert difference.validation.accuracy_standard_error == pytest.approx(
        100 * math.sqrt(0.9 * 0.1 / 400 + 0.8 * 0.2 / 400)
    )
    (blind,) = both(job("a", best(0.5)), replace(job("b", best(0.5)), facts=None)).differences
    assert blind.validation.accuracy_standard_error is None


def test_other_images_of_one_set_are_compared_as_two_samples() -> None:
    comparison = both(job("a", best(0.5)), job("b", best(0.4), split="two"))
    assert [one.same_split_as_first for one in comparison.jobs] == [True, False]
    assert (comparison.differences[0].same_split, comparison.differences[0].verdict) == (
        False,
        DifferenceVerdict.BETTER,
    )
    assert "two samples" in comparison.differences[0].note


def test_an_unrecorded_split_is_named_in_the_note() -> None:
    (difference,) = both(job("a", best(0.5), split=None), job("b", best(0.4))).differences
    assert difference.same_split is None
    assert "not recorded" in difference.note


def test_losses_on_another_data_set_cannot_be_compared() -> None:
    (difference,) = both(job("a", best(0.5)), job("b", best(0.1), "two", dataset={"id": "mnist"})).differences
    assert difference.verdict is DifferenceVerdict.UNKNOWN
    assert difference.validation.loss == pytest.approx(-0.4)
    assert "another data set" in difference.note


def test_without_a_best_epoch_or_its_noise_the_verdict_is_open() -> None:
    nothing = both(job("a", None), job("b", best(0.4)))
    assert nothing.differences[0].verdict is DifferenceVerdict.UNKNOWN
    assert (nothing.differences[0].validation.loss, nothing.differences[0].validation.accuracy_points) == (None, None)
    assert "no best epoch of a." in nothing.differences[0].note
    assert "cannot be told" in nothing.summary[0]
    silent = both(job("a", best(0.5)), job("b", best(0.4, se=None))).differences[0]
    assert (silent.verdict, silent.validation.standard_error, silent.validation.interval) == (
        DifferenceVerdict.UNKNOWN,
        None,
        None,
    )
    assert silent.validation.loss == pytest.approx(-0.1)


def test_a_living_job_is_compared_as_it_stands() -> None:
    (difference,) = both(job("a", best(0.5)), replace(job("b", best(0.4)), status=Status.RUNNING)).differences
    assert difference.verdict is DifferenceVerdict.BETTER
    assert "not ended yet: b." in difference.note


def test_each_job_has_its_epochs_and_seconds() -> None:
    first, other = both(job("a", best(0.5)), job("b", None)).jobs
    assert (first.epochs, first.seconds, first.best) == (6, 8.0, best(0.5))
    assert (other.epochs, other.seconds, other.best) == (0, 9.0, None)


def test_the_summary_names_the_changes_and_the_outcome() -> None:
    comparison = both(job("a", best(0.5)), job("b", best(0.4), optimizer={"lr": 0.01}, model={"channels": [4] * 16}))
    (said,) = comparison.summary
    assert said == (
        "b against a: /model/channels [32, 64] → [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, …, "
        "/optimizer/lr 0.001 → 0.01; "
        "best val_loss 0.5000 → 0.4000 (-0.1000 ± 0.0277 (95 %)): better beyond noise. Accuracy there 90.0% → 90.0%."
    )
    assert "the same spec" in both(job("a", best(0.5)), job("b", best(0.4))).summary[0]


def test_a_summary_names_five_changes_and_counts_the_rest() -> None:
    many: dict[str, Any] = {
        "epochs": 5,
        "batch_size": 8,
        "optimizer": {"lr": 0.01, "momentum": 0.5},
        "regularization": {"dropout": 0.1, "l1": 0.1, "weight_decay": 0.1},
    }
    jobs = [job("a", best(0.5)), job("b", best(0.4), **many), job("c", best(0.4), epochs=7)]
    comparison = compare(jobs, {}, {})
    assert len(comparison.spec) == 7
    assert comparison.summary[0].count("→") == 5 + 2
    assert "0.1 and 2 more; best" in comparison.summary[0]
    assert comparison.summary[1].startswith("c against a: /epochs 100 → 7; best")
