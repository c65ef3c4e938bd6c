"""The regularizers of a training step: a table of methods that the step applies in order.

Each method has its own file. It reads its options of the spec and returns `Hooks`, functions for the moments of a step
at which it acts, or OFF. To add a method: declare its options in service/core/spec/parts.py, write its file, add a row.

Dropout and stochastic depth are layers of the network (workers/training/models). Weight decay acts in the optimizer
(workers/training/optim.py). Averaged weights (moving average, Lookahead) are part of the state of a run and follow all
methods.
"""

from workers.training.regularization.cross_entropy import cross_entropy
from workers.training.regularization.focal import focal
from workers.training.regularization.gradient_clip import gradient_clip
from workers.training.regularization.hooks import Method
from workers.training.regularization.l1 import l1
from workers.training.regularization.logit_adjustment import logit_adjusted
from workers.training.regularization.max_norm import max_norm
from workers.training.regularization.mixing import mixing
from workers.training.regularization.sam import sam
from workers.training.regularization.weight_decay import weight_decay

METHODS: tuple[Method, ...] = (
    mixing,  # before all losses, because it changes the targets
    cross_entropy,  # each of these three acts for its own value of the option `loss`
    focal,
    logit_adjusted,
    l1,
    weight_decay,
    sam,
    gradient_clip,  # by the norm of the gradients before any row of this table changed them
    max_norm,  # after all that changes weights
)
