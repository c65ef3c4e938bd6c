"""The slots of a worker: its jobs run side by side, each in a thread of its own with its own trainer process.

A job leaves its slot when its training ends. Its artifacts are written and published while the next job trains.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from service.core.records.capacity import Capacity
from service.core.records.lease import Lease
from service.core.records.room import Room, taken, taken_after_training, whole
from workers.supervisor.supervisor import Supervisor

HELD = 2  # jobs that are held at most, for each slot: a slow storage must not let jobs pile up that wait for it

log = logging.getLogger(__name__)


class Slots:
    """Starts jobs while there is room for them. One thread starts jobs at a time; each call is safe in any thread."""

    def __init__(self, supervisor: Supervisor, capacity: Capacity) -> None:
        self._supervisor, self._capacity = supervisor, capacity
        self._changed = threading.Condition()
        self._running: dict[tuple[str, int], Room] = {}  # what each job takes, by its id and attempt
        self._leavings = 0  # how often a job left its slot or ended

    def start_next(self) -> str | None:
        """Claim the job that is first in the queue and start it; returns its id, None where there is none.

        Raises NoRoom where running jobs take what it needs.
        """
        claim = self._supervisor.claim(self._room())
        if claim is None:
            return None
        lease = claim.lease
        with self._changed:
            self._running[lease.job_id, lease.attempt] = taken(self._capacity, lease.needs)
        run, name = self._supervisor.run, f"slot-{lease.job_id}"
        args = (claim, self._held(lease), partial(self._leave_slot, lease))
        threading.Thread(target=run, args=args, name=name, daemon=True).start()
        return lease.job_id

    def wait_for_room(self) -> None:
        """Return once there is room for a further job of the smallest kind."""
        with self._changed:
            self._changed.wait_for(lambda: self._left().is_left)

    def wait_for_change(self, seconds: float) -> None:
        """Return once a job leaves its slot or ends, or after `seconds`."""
        with self._changed:
            before = self._leavings
            self._changed.wait_for(lambda: not self._running or self._leavings != before, seconds)

    def wait_until_idle(self) -> None:
        """Return once no job runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)

    def _room(self) -> Room | None:
        """What the running jobs leave; None while there are none."""
        with self._changed:
            return self._left() if self._running else None

    def _left(self) -> Room:
        left = whole(self._capacity)
        for share in self._running.values():
            left -= share
        return replace(left, slots=min(left.slots, HELD * self._capacity.slots - len(self._running)))

    def _leave_slot(self, lease: Lease) -> None:
        """The job's training has ended."""
        with self._changed:
            held = lease.job_id, lease.attempt
            self._running[held] = taken_after_training(self._running[held])
            self._tell()

    def _tell(self) -> None:
        """There is more room than before; call with the lock held."""
        self._leavings += 1
        self._changed.notify_all()

    @contextmanager
    def _held(self, lease: Lease) -> Iterator[None]:
        """The job has a slot within the block. An error in the block is logged."""
        try:
            yield
        except Exception:
            log.exception("job %s: its slot failed", lease.job_id)
        finally:
            with self._changed:
                del self._running[lease.job_id, lease.attempt]
                self._tell()
