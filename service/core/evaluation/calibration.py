"""Calibration: whether the probabilities of a model are shares of right guesses, without and with a temperature.

Expected calibration error: Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
Binning" (2015). Brier, "Verification of forecasts expressed in terms of probability" (1950).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.evaluation.intervals import Interval, Z, percentiles, resampled
from service.core.evaluation.outcomes import Floats, Outcomes, outcomes
from service.core.evaluation.predictions import Predictions
from service.core.evaluation.temperature import crossed_temperatures, fit_temperature

__all__ = ["BINS", "Bin", "Calibration", "Summary", "bins", "calibration", "fit_temperature", "summarize"]

BINS = 15  # of equal width


@dataclass(frozen=True)
class Bin:
    """The images whose confidence is above (i - 1) / BINS and at most i / BINS; the means are None without an image."""

    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Losses in nats, `ece` from 0 to 1, `brier` from 0 to 2; those with `after` divide the logits by `temperature`.

    `gain` is `loss` minus `loss_after`. Intervals are 95 % ones over the images; that of the gain is paired by image.
    """

    temperature: float
    loss: float
    loss_after: float
    gain: float
    ece: float
    ece_after: float
    brier: float
    loss_interval: Interval
    loss_after_interval: Interval
    gain_interval: Interval
    ece_interval: Interval
    ece_after_interval: Interval
    brier_interval: Interval
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Summary:
    """The values of a Calibration of the same names, without intervals, which take most of the time."""

    temperature: float
    loss: float
    loss_after: float
    ece: float
    ece_after: float


def summarize(validation: Predictions) -> Summary:
    """The calibration of a model on its validation images, at least one.

    `temperature` is fitted on all of them. The values with `after` are cross-fitted, so that the gain is not
    optimistic: each image has the temperature that the other folds give.
    """
    temperature, crossed = crossed_temperatures(validation)
    images = outcomes(validation, crossed)
    gap, gap_after = (_gaps(confidence, images.is_right) for confidence in (images.confidence, images.confidence_after))
    return Summary(temperature, float(images.loss.mean()), float(images.loss_after.mean()), _ece(gap), _ece(gap_after))


def calibration(images: Outcomes, temperature: float) -> Calibration:
    """The calibration of at least one image, whose outcomes after the temperature are known."""
    gaps = [_gaps(confidence, images.is_right) for confidence in (images.confidence, images.confidence_after)]
    gain = images.loss - images.loss_after
    means = np.column_stack((images.loss, images.loss_after, gain, images.brier))
    draws = resampled(np.hstack((means, *gaps)))
    loss, loss_after, _, brier = means.mean(axis=0).tolist()
    of_loss, of_loss_after, of_gain, of_brier = (percentiles(draws[:, i]) for i in range(4))
    ece, ece_after = map(_ece, gaps)
    return Calibration(
        temperature=temperature,
        loss=loss,
        loss_after=loss_after,
        gain=loss - loss_after,
        ece=ece,
        ece_after=ece_after,
        brier=brier,
        loss_interval=of_loss,
        loss_after_interval=of_loss_after,
        gain_interval=of_gain,
        ece_interval=_ece_interval(ece, draws[:, 4 : 4 + BINS]),
        ece_after_interval=_ece_interval(ece_after, draws[:, 4 + BINS :]),
        brier_interval=of_brier,
        bins=bins(images.confidence, images.is_right),
    )


def bins(confidence: Floats, is_right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """The reliability diagram: mean confidence and accuracy of the images in each bin of confidence."""
    place = _place(confidence)
    images = np.bincount(place, minlength=BINS)
    sums = np.bincount(place, confidence, BINS), np.bincount(place, is_right, BINS)
    return tuple(
        Bin(n, float(confident) / n, float(right) / n) if n else Bin(0, None, None)
        for n, confident, right in zip(images.tolist(), *sums, strict=True)
    )


def _place(confidence: Floats) -> NDArray[np.intp]:
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)


def _gaps(confidence: Floats, is_right: NDArray[np.bool_]) -> Floats:
    """Confidence minus truth in the column of the image's bin, [N, BINS]; ECE is the sum of the columns' |mean|."""
    gaps = np.zeros((len(confidence), BINS))
    gaps[np.arange(len(confidence)), _place(confidence)] = confidence - is_right
    return gaps


def _ece(gaps: Floats) -> float:
    return float(np.abs(gaps.mean(axis=0)).sum())


def _ece_interval(ece: float, draws: Floats) -> Interval:
    """ECE and 1.96 standard deviations of its resamples; their percentiles are too high, because noise adds to ECE."""
    half = Z * float(np.abs(draws).sum(axis=1).std())
    return max(0.0, ece - half), min(1.0, ece + half)
