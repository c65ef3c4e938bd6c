"""The thresholds of the rules, with defaults calibrated on labelled runs (tests/golden), not guessed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Losses are compared with the guessing loss (guessing by the labels' frequencies) or with their own noise."""

    least_epochs: int = 5  # fewer epochs show no trend
    guessing: float = 0.95  # not learning: training loss stays above this share of the guessing loss
    explosion: float = 4.0  # exploded: training loss exceeds this multiple of the guessing loss
    learnt: float = 0.72  # progress: training loss came below this share of the guessing loss
    lost_again: float = 0.7  # diverged: this share of that progress was lost again
    noise: float = 2.0  # a change is real beyond this many standard errors
    steady: float = 1.0  # and a steady one beyond this many of the images' standard errors
    notable: float = 0.05  # and beyond this share of the level that it starts from
    train_fall: float = 0.1  # training loss still falls: by this share of itself since the minimum of validation loss
    wide_gap: float = 0.08  # validation loss is apart from training loss by this share of the guessing loss
    own_gap: float = 0.2  # and by this share of training loss; below it, both are high
    accuracy_falls: float = 0.73  # accuracy has fallen by more than this many of its standard errors
    accuracy_gap: float = 0.2  # validation accuracy is far below training accuracy
    label_noise: float = 0.03  # wrong labels: validation accuracy fell by more than this share of the images
    improves: float = 0.025  # validation loss still falls: by this share of itself in as many epochs again
    follows: float = 0.5  # and by this share of the fall of training loss: less of it is the start of memorizing
    gains: float = 0.008  # and by this share of the guessing loss
    stuck: float = 0.15  # underfitting: training loss is flat above this share of the guessing loss
    known: float = 0.9  # not underfitting: chance-corrected validation accuracy exceeds this
    flat: float = 0.13  # a loss is flat if the last third of the run changes it by less than this share
    chance: float = 0.01  # a trend is real if chance has so steady a one with a smaller probability
    likely: float = 0.1  # of a fall: losses that have come down are expected to go on
    worth: float = 0.01  # changes below this share of the guessing loss are ignored
    jumping_epochs: int = 6  # noise is not judged on fewer epochs
    jumps: float = 0.12  # noisy: validation loss changes by this share of itself from epoch to epoch
    few_images: int = 41  # small: fewer validation images
    rare_recall: float = 0.1  # rare classes are ignored: their recall is lower by this much than that of the others
    rare_errors: float = 2.0  # and by this many standard errors
    handicap: float = 1.2  # training loss exceeds the clean one by this factor
    copies: float = 0.02  # leakage: this share of the validation images has copies among the training images
    easier: float = 3.0  # leakage: validation loss is this many standard errors below the clean training loss


DEFAULT = Rules()
