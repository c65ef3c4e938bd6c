"""Where the processes of a job meet: a store of keys at the loopback address, that nobody else can reach.

The launcher's own rendezvous is for several machines: its stores listen on all addresses, ask nobody who they are, and
hold pickled objects, which it loads.
"""

import socket

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch leaves its exports unsaid
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)

LOOPBACK = "127.0.0.1"
ONE_MACHINE = "rightfit-one-machine"  # the name by which the launcher finds it


class OneMachine(RendezvousHandler):
    """The rendezvous of a single launcher with itself: it is complete at once, and nobody joins later."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        with socket.create_server((LOOPBACK, 0)) as listening:
            self._port = listening.getsockname()[1]
            self._store = TCPStore(
                LOOPBACK, self._port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
            )

    def get_backend(self) -> str:
        return ONE_MACHINE

    def next_rendezvous(self) -> RendezvousInfo:
        return RendezvousInfo(self._store, 0, 1, RendezvousStoreInfo(LOOPBACK, self._port))

    @property
    def use_agent_store(self) -> bool:
        """The processes meet at the launcher's store."""
        return True

    def is_closed(self) -> bool:
        return False

    def set_closed(self) -> None:
        """Nobody else is to be told."""

    def num_nodes_waiting(self) -> int:
        return 0

    def get_run_id(self) -> str:
        return self._run_id

    def shutdown(self) -> bool:
        return True


def register() -> None:
    """Make it known to the launcher of this process."""

    def create(parameters: RendezvousParameters) -> RendezvousHandler:
        return OneMachine(parameters.run_id)

    rendezvous_handler_registry.register(ONE_MACHINE, create)
