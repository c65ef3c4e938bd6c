"""Changes of a spec that belong together, as one JSON Patch each; None where they do not apply."""

from service.core.diagnosis.patches import DECAYS, LEAST_LR, USUAL_LR, Patch, batch_norm, decaying_lr, put
from service.core.diagnosis.run_context import RunContext
from service.core.spec import Cnn
from service.core.spec.combinations import HAVE_MOMENTUM

MOST_WIDTH = 1024  # channels of the block that is added
MOMENTUM = 0.9  # of sgd (Sutskever et al., 2013)


def rate_and_schedule(case: RunContext) -> Patch | None:
    """A third of the rate, which falls along a cosine: the start is calmer, and so is the end."""
    schedule, lr = decaying_lr(case), case.spec.optimizer.lr / 3
    return put("/optimizer/lr", lr) + schedule if schedule and lr >= LEAST_LR else None


def deeper_and_normalized(case: RunContext) -> Patch | None:
    """One more block, and batch normalization, without which deeper networks train worse (Ioffe and Szegedy, 2015)."""
    model, normalized = case.spec.model, batch_norm(case)
    if not isinstance(model, Cnn) or normalized is None or case.side is None:
        return None
    channels = [*model.channels, min(MOST_WIDTH, 2 * model.channels[-1])]
    fits = len(channels) <= model.most_blocks(case.side)
    return put("/model/channels", channels) + normalized if fits else None


def other_optimizer(case: RunContext) -> Patch | None:
    """SGD with momentum instead of an adaptive optimizer, or AdamW instead of SGD, with its usual rate and decay."""
    is_sgd, has_decay = case.spec.optimizer.name in HAVE_MOMENTUM, case.spec.regularization.weight_decay > 0
    name = "adamw" if is_sgd else "sgd"
    patch = put("/optimizer/name", name) + put("/optimizer/lr", USUAL_LR[name])
    patch += put("/optimizer/momentum", 0.0 if is_sgd else MOMENTUM)
    if case.spec.optimizer.nesterov:
        patch += put("/optimizer/nesterov", False)
    return patch + (put("/regularization/weight_decay", DECAYS[name][0]) if has_decay else [])


def decoupled_decay(case: RunContext) -> Patch | None:
    """AdamW instead of Adam: the decay of weights apart from the gradient (Loshchilov and Hutter, 2019)."""
    if case.spec.optimizer.name != "adam":
        return None
    return put("/optimizer/name", "adamw") + put("/regularization/weight_decay", DECAYS["adamw"][0])
