"""What each golden run shows, judged by eye from its curves (`python -m tests.golden.sheet`).

By set-up: the verdict of the run of each seed, and further verdicts that are as defensible.
"""

from collections.abc import Mapping

from service.core.diagnosis import Verdict

S, O, C = Verdict.STAGNANT_GENERALIZATION, Verdict.OVERFITTING, Verdict.OVERCONFIDENT  # noqa: E741 - a table of letters
U, N, I, D = Verdict.UNDERFITTING, Verdict.NOT_LEARNING, Verdict.STILL_IMPROVING, Verdict.DIVERGED  # noqa: E741
H, J, F, T = Verdict.HEALTHY, Verdict.NOISY_VALIDATION, Verdict.SMALL_VALIDATION, Verdict.TOO_SHORT_TO_TELL
X, L, A = Verdict.UNSTABLE, Verdict.SUSPECTED_LEAKAGE, Verdict.TRAIN_ABOVE_VALIDATION

LABELS: Mapping[str, tuple[Verdict, ...]] = {
    "few_plain_mlp": (S, S, S, S),
    "few_plain_cnn": (S, S, S, S),
    "few_plain_wide": (S, S, S, S),
    "few_regularized": (I, I, I, I),
    "stopped_early": (S, S, S, S),
    "label_noise_20": (O, O, O, O),
    "label_noise_40": (O, O, O, O),
    "labels_shuffled": (O, O, O, O),
    "lr_too_high_adam": (D, D, D, D),
    "lr_too_high_sgd": (D, D, D, D),
    "lr_explodes": (D, D, D, D),
    "lr_far_too_low": (N, N, N, N),
    "lr_too_low": (I, I, I, I),
    "few_epochs": (I, I, I, I),
    "three_epochs": (T, T, T, T),
    "too_small_mlp": (U, U, U, U),
    "too_small_cnn": (N, U, U, N),
    "decayed_too_much": (U, U, U, U),
    "tiny_validation": (F, F, F, F),
    "duplicates": (L, L, L, L),
    "heavy_dropout": (I, I, I, I),
    "mixed_images": (A, A, A, A),
    "batch_norm": (J, N, N, N),
    "sgd_jumps": (S, S, S, S),
    "full_cosine": (H, H, H, H),
    "full_short": (I, I, I, I),
    "full_long": (H, H, S, H),
    "full_plain_mlp": (H, H, H, H),
    "full_regularized": (H, H, H, H),
    "full_small_batches": (H, H, H, J),
    "certain_wide": (C, S, C, C),
    "certain_cnn": (C, C, C, S),
    "certain_small_batches": (S, S, S, H),
    "label_noise_5": (C, O, C, C),
    "rising_rate": (X, X, X, X),
    "collapsed": (D, D, D, U),
    "jumping": (S, H, H, H),
    "jumping_mlp": (J, J, J, J),
}
AS_WELL: Mapping[tuple[str, int], frozenset[Verdict]] = {
    ("few_plain_wide", 2): frozenset({I, H}),  # the losses end at a twentieth of guessing
    ("few_plain_wide", 3): frozenset({C}),  # its rise is small and steady
    ("stopped_early", 1): frozenset({H}),  # the losses end at a tenth of guessing
    ("too_small_mlp", 2): frozenset({I}),  # both losses fall by 3 % in the last third
    ("too_small_mlp", 3): frozenset({I}),
    ("heavy_dropout", 1): frozenset({A}),
    ("heavy_dropout", 2): frozenset({A}),
    ("heavy_dropout", 3): frozenset({A}),
    ("heavy_dropout", 4): frozenset({A}),
    ("sgd_jumps", 1): frozenset({J}),
    ("full_short", 1): frozenset({H}),
    ("full_short", 2): frozenset({H}),
    ("full_short", 3): frozenset({H}),
    ("full_short", 4): frozenset({H, J}),  # it jumps by a third of itself at the end
    ("full_long", 3): frozenset({H}),
    ("full_plain_mlp", 3): frozenset({S}),
    ("full_regularized", 3): frozenset({S}),
    ("full_small_batches", 3): frozenset({S}),
    ("full_small_batches", 4): frozenset({S}),
    ("certain_wide", 2): frozenset({C}),
    ("certain_cnn", 4): frozenset({C}),
    ("certain_small_batches", 2): frozenset({J}),
    ("certain_small_batches", 3): frozenset({C}),
    ("certain_small_batches", 4): frozenset({S}),
    ("label_noise_5", 4): frozenset({O}),
    ("collapsed", 3): frozenset({N}),
    ("collapsed", 4): frozenset({J}),
    ("jumping", 1): frozenset({H}),
    ("jumping", 2): frozenset({S}),
    ("jumping", 3): frozenset({S}),
}
