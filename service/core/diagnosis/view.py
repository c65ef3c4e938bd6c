"""The input of the rules: a loss curve with the facts of its run, and the levels that several rules compare."""

from dataclasses import dataclass

from service.core.diagnosis.curves import Curve, level, share
from service.core.diagnosis.thresholds import Rules
from service.core.records.facts import Facts

LEAST_AFTER = 3  # epochs after the lowest loss, before a rise counts


@dataclass(frozen=True)
class RunView:
    """A curve with the facts of its run.

    `guess` is the loss of guessing by the labels' frequencies, in nats; `stop_reason` is None while the run goes on;
    `monitor` is the measure that early stopping watches.
    """

    curve: Curve
    facts: Facts | None
    guess: float
    stop_reason: str | None
    rules: Rules
    monitor: str = "val_loss"

    @property
    def validation_images(self) -> int | None:
        return self.facts.images.get("validation") if self.facts else None

    @property
    def known(self) -> float:
        """Validation accuracy at the end, corrected for chance: 0 as good as guessing, 1 all images right."""
        guessed = self.facts.trivial_accuracy if self.facts else 0.0
        return (share(self.curve.accuracy) - guessed) / max(1e-9, 1 - guessed)

    @property
    def rise(self) -> float:
        """Validation loss at the end minus its lowest level, in nats; 0 until enough epochs follow the lowest one."""
        return self.end - self.curve.smooth_val[self.curve.turn] if self.has_turned else 0.0

    @property
    def has_turned(self) -> bool:
        """Whether at least LEAST_AFTER epochs follow the lowest level."""
        return len(self.curve) - 1 - self.curve.turn >= LEAST_AFTER

    @property
    def end(self) -> float:
        """Validation loss at the end, in nats."""
        return level(self.curve.val[self.curve.turn + 1 :] if self.has_turned else self.curve.val)

    @property
    def noticeable(self) -> float:
        """The rise, in nats, that a real one must exceed.

        It is the largest of three: its noise plus the luck of the lowest level, a share of that level, and a share of
        the guessing loss.
        """
        curve, rules = self.curve, self.rules
        lowest = curve.smooth_val[curve.turn]
        return max(rules.noise * curve.noise + curve.luck, rules.notable * lowest, rules.worth * self.guess)

    @property
    def gap(self) -> float:
        """Validation loss minus training loss at the end, in nats."""
        return level(self.curve.val) - level(self.curve.fit)
