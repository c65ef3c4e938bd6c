"""The thresholds of the rules, with defaults calibrated on labelled runs (tests/golden), not guessed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Losses are held against the loss of guessing by the labels' frequencies, or against their own noise."""

    least_epochs: int = 5  # fewer show no trend
    guessing: float = 0.95  # a loss above this share of the guessing loss has learnt nothing
    explosion: float = 4.0  # a training loss of so many times the guessing loss has exploded
    learnt: float = 0.72  # a training loss below this share of the guessing loss has learnt something
    lost_again: float = 0.55  # and one that gives back this share of what it had gained has lost it
    noise: float = 2.0  # a change is one beyond so many standard errors
    notable: float = 0.05  # and by this share of the level it starts from
    train_fall: float = 0.17  # training loss goes on falling where it loses this share of itself after the turn
    wide_gap: float = 0.05  # validation loss is apart from training loss by this share of the guessing loss
    accuracy_falls: float = 0.73  # accuracy has fallen beyond so many of its standard errors
    improves: float = 0.06  # validation loss still falls where the last third of the run took off this share of it
    stuck: float = 0.15  # a training loss above this share of the guessing loss, and flat, is underfitting
    known: float = 0.9  # nor where this share of the validation images is right beyond guessing
    flat: float = 0.13  # a loss is flat where the last third of the run changed it by less than this share
    worth: float = 0.01  # smaller changes than this share of the guessing loss are not worth a word
    jumping_epochs: int = 10  # noise is not judged by fewer
    jumps: float = 0.12  # epoch to epoch noise of this share of the loss is much
    few_images: int = 40  # validation images
    handicap: float = 1.2  # training loss so many times its clean twin is measured under handicaps
    copies: float = 0.02  # this share of the validation images has copies among the training images
    easier: float = 3.0  # validation loss below the clean training loss by so many standard errors


DEFAULT = Rules()
