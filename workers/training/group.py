"""The processes that train one model together, each on its share of every batch.

Data parallelism as in Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training" (2020).
Every process draws and augments the same whole batch, and trains on its rows of it. The average of their gradients is
the gradient of the whole batch, so the weights equal those of a single process up to rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from torch import Tensor, nn

T = TypeVar("T")


class Group:
    """A group of one process. Its operations cost nothing."""

    rank, size = 0, 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, reports and writes for the group."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """This process's rows of a batch of `count` images.

        A batch with fewer images than processes is not divided: each process trains on all of it.
        """
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def portion(self, count: int) -> float:
        """The number of images that this process's rows count for. It adds up to `count` over the group."""
        if count < self.size:
            return count / self.size
        return float(self.rows(count).stop - self.rows(count).start)

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model over the same parameters, with gradients that are averaged over all processes."""
        return model

    def in_turn(self, make: Callable[[], T]) -> T:
        """Call `make` in the first process, then in the others, which reuse its files. Returns its result."""
        made = [make()] if self.leads else []
        self.agree(None)
        return made[0] if self.leads else make()

    @contextmanager
    def normalizing(self, count: int) -> Iterator[None]:
        """Within the block, batch normalization uses the statistics of the whole batch of `count` images."""
        yield

    def add_(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over the processes, in place, on each of them."""
        return tensor

    def agree(self, value: T) -> T:
        """The first process's value, on each process. Plain data only."""
        return value

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank. Plain data and CPU tensors."""
        return [value]


SINGLE_PROCESS = Group()
