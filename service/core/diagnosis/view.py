"""The input of the rules: a loss curve with the facts of its run, and the levels that several rules compare."""

from dataclasses import dataclass
from functools import cached_property

from service.core.diagnosis.curves import SHORT, Curve
from service.core.diagnosis.thresholds import Rules
from service.core.diagnosis.trends import rising_chance
from service.core.records.facts import Facts

LARGE_FALL, LARGE_FOLLOWS = 4.0, 0.65  # times the usual thresholds
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
    has_weights: bool = False  # the run starts from weights, so that its first losses may be low

    @property
    def validation_images(self) -> int | None:
        return self.facts.images.get("validation") if self.facts else None

    @property
    def knows_guessing(self) -> bool:
        """Whether the loss of guessing is known, not taken from the first epoch."""
        return self.facts is not None and self.facts.trivial_accuracy > 0

    @property
    def known(self) -> float | None:
        """Validation accuracy at the end, corrected for chance: 0 as good as guessing, 1 all images right."""
        right = self.curve.share(self.curve.accuracy)
        guessed = self.facts.trivial_accuracy if self.facts else 0.0
        return None if right is None else (right - guessed) / max(1e-9, 1 - guessed)

    @property
    def rise(self) -> float:
        """Validation loss at the end minus its lowest level, in nats; 0 until enough epochs follow the lowest one."""
        return self.end - self.curve.smooth_val[self.curve.turn] if self.has_turned else 0.0

    @property
    def has_turned(self) -> bool:
        """Whether at least LEAST_AFTER epochs follow the lowest level."""
        return len(self.curve) - 1 - self.curve.turn >= LEAST_AFTER

    @cached_property
    def is_rising(self) -> bool:
        """Whether validation loss has risen since its lowest level more steadily than chance has it.

        Of a long run, the strip of the lowest level is left out: it was chosen for its low values.
        """
        curve, rules = self.curve, self.rules
        since = curve.turn + (curve.strip // 2 + 1 if len(curve) >= SHORT else 0)
        is_large = -curve.drop(curve.val, since) > rules.notable * curve.smooth_val[curve.turn]
        return is_large and rising_chance(curve.val[since:]) < rules.chance

    @cached_property
    def is_left_behind(self) -> bool:
        """Whether validation loss falls, but by a small part only of the fall of training loss."""
        curve = self.curve
        return 0 < curve.followed < self.least_followed and curve.falling(curve.val) < self.rules.likely

    @property
    def least_followed(self) -> float:
        """The share of the fall of training loss that validation loss must follow. Of a large fall, it is smaller."""
        is_large = self.curve.coming >= LARGE_FALL * self.rules.improves
        return self.rules.follows * (LARGE_FOLLOWS if is_large else 1)

    @property
    def end(self) -> float:
        """Validation loss at the end, in nats."""
        return self.curve.level(self.curve.val[self.curve.turn + 1 :] if self.has_turned else self.curve.val)

    @property
    def noticeable(self) -> float:
        """The rise, in nats, that a real one must exceed.

        It is the largest of three: its noise plus the luck of the lowest level, a share of that level, and a share of
        the guessing loss. Of a steady rise, the noise is that of the images alone.
        """
        curve, rules = self.curve, self.rules
        noise = rules.steady * curve.image_noise if self.is_rising else rules.noise * curve.noise + curve.luck
        return max(noise, rules.notable * curve.smooth_val[curve.turn], rules.worth * self.guess)

    @property
    def gap(self) -> float:
        """Validation loss minus training loss at the end, in nats."""
        return self.curve.level(self.curve.val) - self.curve.level(self.curve.fit)

    @property
    def learnt(self) -> bool:
        """Whether the model tells its training images apart: their loss is well below that of guessing."""
        return self.curve.level(self.curve.fit) < self.rules.learnt * self.guess
