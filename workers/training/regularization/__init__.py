"""The regularizers of a training step: a table that the step walks in order.

A method is a file that reads its options of the spec and says in `Hooks` at which moments of a step it acts; OFF, where
its options switch it off. To add one: declare its options in service/core/spec/parts.py, write its file, add its row.

Dropout and stochastic depth are layers of the network (workers/training/models). Weight decay acts in the optimizer
(workers/training/optim.py). The moving average of the weights is a part of the run's state and comes after all rows.
"""

from workers.training.regularization.cross_entropy import cross_entropy
from workers.training.regularization.gradient_clip import gradient_clip
from workers.training.regularization.hooks import Method
from workers.training.regularization.l1 import l1
from workers.training.regularization.max_norm import max_norm
from workers.training.regularization.mixing import mixing
from workers.training.regularization.sam import sam
from workers.training.regularization.weight_decay import weight_decay

METHODS: tuple[Method, ...] = (
    mixing,  # before any loss: it changes the targets
    cross_entropy,
    l1,
    weight_decay,
    sam,
    gradient_clip,  # after all that changes gradients
    max_norm,  # after all that changes weights
)
