"""gunicorn's worker with threads, in which no client can hold up the others.

One thread accepts connections, reads requests and closes connections, and never waits for a client. A request gets a
thread of the pool when its headers, and its body if it is small, are there. Probes have threads of their own.
"""

import errno
import http
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker
from werkzeug.exceptions import HTTPException

from service.core.text import shortened
from service.http.arrival import PROBES, HeadTooLarge
from service.http.client_socket import LEAST_RATE, PATIENCE_SECONDS, SEND_SECONDS, ClientSocket
from service.http.connection import Connection
from service.http.message import DRAINED_BYTES
from service.http.refusals import is_unreadable, problem, refusal_of
from service.http.turns import Line, taken

HEAD_SECONDS = 10.0  # from the first byte, or the connection, to the end of the headers
SMALL_RATE = 1024  # bytes a second of a small body, for which no thread waits
LINGER_SECONDS = 2.0  # for the client to read the last answer and to close (RFC 9112, section 9.6)
TICK_SECONDS = 0.25  # between two checks of the deadlines and of long turns
BLOCK = 1 << 14  # bytes received at once
PROBE_THREADS = 2  # for each path of PROBES
MOST_TURNS = 4  # requests that are answered at a time, without those that wait
ACCEPTED = 16  # connections at once, before other events
PASSING = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)  # errors of a connection that is gone again
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class Server(ThreadWorker):  # type: ignore[misc]  # gunicorn ships no types
    """The worker class. `threads` requests may wait for changes, and as many for slow clients, at the same time. Those
    that do not wait take turns.
    """

    tpool: ThreadPoolExecutor

    def init_process(self) -> None:
        self._places = threading.Semaphore(self.cfg.threads)
        self._probes = {path: self._line_of(PROBE_THREADS, ThreadPoolExecutor(PROBE_THREADS)) for path in PROBES}
        self._waiting: dict[Connection, None] = {}  # those without a thread, in the order of their last request
        self._checked_at = time.monotonic()
        self._accepts_from = 0.0  # time.monotonic
        super().init_process()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(2 * self.cfg.threads)
        self._line = self._line_of(MOST_TURNS, pool)
        return pool

    def _line_of(self, turns: int, pool: ThreadPoolExecutor) -> Line[Connection]:
        return Line(turns, partial(self._submit, pool))

    # Connections without a thread. All of this runs on the accepting thread.

    def accept(self, listener: socket.socket) -> None:
        for _ in range(min(ACCEPTED, self.worker_connections - self.nr_conns)):
            try:
                accepted, client = listener.accept()
            except OSError as error:
                if error.errno in NO_DESCRIPTOR:
                    self._free_descriptor()
                elif error.errno not in PASSING:
                    raise
                return
            self._begin(Connection(self.cfg, ClientSocket(accepted, self._places), client, listener.getsockname()))

    def _begin(self, conn: Connection) -> None:
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._drop_oldest()
        self._wait(conn, HEAD_SECONDS)
        self._read(conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled and time.monotonic() >= self._accepts_from)

    def _free_descriptor(self) -> None:
        """Close the oldest connection. If there is none, accept again after a while, or when a connection closes: until
        then the listener stays readable, and the loop would never rest.
        """
        if not self._drop_oldest():
            self._accepts_from = time.monotonic() + TICK_SECONDS
            self.set_accept_enabled(False)

    def _wait(self, conn: Connection, seconds: float) -> None:
        """Wait for bytes of the client."""
        conn.deadline = time.monotonic() + seconds
        self._waiting[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))

    def _wait_for_reader(self, conn: Connection, then: Callable[[Connection], None]) -> None:
        """Call `then` when the client has read enough of what was sent. The deadline stays the same."""
        self._waiting[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._on_writable, conn, then))

    def _on_writable(self, conn: Connection, then: Callable[[Connection], None], _: Any) -> None:
        if conn in self._waiting:
            self._leave(conn)
            then(conn)

    def _on_readable(self, conn: Connection, _: Any) -> None:
        if conn in self._waiting:  # else another event of the same moment has closed it
            self._read(conn)

    def _read(self, conn: Connection) -> None:
        try:
            data = conn.sock.recv_now(BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
        elif conn.drained is None:
            self._receive(conn, data)
        else:
            conn.drained += len(data)
            if conn.drained > DRAINED_BYTES:
                self._drop(conn)

    def _receive(self, conn: Connection, data: bytes) -> None:
        is_first, had_head = not conn.arrival, conn.arrival.has_head
        try:
            is_ready = conn.arrival.add(data)
        except HeadTooLarge:
            self._refuse(conn, http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers exceed 64 KiB")
            return
        if is_ready:
            self._leave(conn)
            self._start(conn)
        elif conn.arrival.has_head and not had_head:
            conn.deadline = time.monotonic() + PATIENCE_SECONDS + conn.arrival.missing / SMALL_RATE
        elif is_first:
            conn.deadline = time.monotonic() + HEAD_SECONDS

    def _start(self, conn: Connection) -> None:
        """Give the request a thread. A client that has sent it early must first read the answers before."""
        if conn.is_early:
            conn.deadline = time.monotonic() + SEND_SECONDS
            self._wait_for_reader(conn, self.enqueue_req)
        else:
            self.enqueue_req(conn)

    def _leave(self, conn: Connection) -> None:
        del self._waiting[conn]
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._leave(conn)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()
        self._accepts_from = 0.0

    def _drop_oldest(self) -> bool:
        """Returns whether there was a connection without a thread."""
        oldest = next(iter(self._waiting), None)
        if oldest is not None:
            self._drop(oldest)
        return oldest is not None

    def _refuse(self, conn: Connection, status: http.HTTPStatus, detail: str) -> None:
        self._leave(conn)
        try:
            conn.sock.send(problem(status, detail))
        except OSError:
            self._close(conn)
        else:
            self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Close a connection without losing the end of its answer: stop sending, then wait for the client to close."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.drained = 0
        self._wait(conn, LINGER_SECONDS)

    # What gunicorn's loop calls

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, TICK_SECONDS))

    def murder_keepalived(self, force: bool = False) -> None:
        """End the connections whose deadline is over; with `force`, all that have no thread."""
        now = time.monotonic()
        if now - self._checked_at < TICK_SECONDS and not force:
            return
        self._checked_at = now
        self._line.end_long_turns()
        for conn in [conn for conn in self._waiting if force or conn.deadline < now]:
            if conn.drained is None and conn.arrival and not conn.arrival.is_complete:
                self._refuse(conn, http.HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")
            else:
                self._drop(conn)

    def murder_pending(self) -> None:
        """Do nothing: the method above ends those connections as well."""

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self._waiting:
            conn.deadline = min(conn.deadline, deadline)

    # Connections with a thread

    def enqueue_req(self, conn: Connection) -> None:
        probes = self._probes.get(conn.arrival.probe or "")
        conn.line = probes or self._line
        conn.sock.start_request(waits=probes is None)
        conn.parser.unreader.unread(conn.arrival.take())
        conn.line.add(conn, is_early=conn.is_early)

    def _submit(self, pool: ThreadPoolExecutor, conn: Connection) -> None:
        future = pool.submit(self._handle_in_turn, conn)
        future.add_done_callback(lambda ended: self.method_queue.defer(self.finish_request, conn, ended))

    def _handle_in_turn(self, conn: Connection) -> bool:
        with taken(partial(self.method_queue.defer, conn.line.give_back, conn)):  # a line is the accepting thread's
            return bool(self.handle(conn))

    def finish_request(self, conn: Connection, future: "Future[bool]") -> None:
        """Send the rest of the answer, then go on with the connection. Runs on the accepting thread."""
        conn.line.give_back(conn)
        conn.is_ending = future.cancelled() or future.exception() is not None or not future.result()
        conn.deadline = time.monotonic() + SEND_SECONDS + len(conn.sock.rest) / LEAST_RATE
        self._send_rest(conn)

    def _send_rest(self, conn: Connection) -> None:
        try:
            conn.sock.send_rest()
        except OSError:
            self._close(conn)
            return
        if conn.sock.rest:
            self._wait_for_reader(conn, self._send_rest)
        elif conn.is_ending:
            self._linger(conn)
        else:
            self._wait_for_request(conn)

    def _wait_for_request(self, conn: Connection) -> None:
        self._wait(conn, self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER)
        following = conn.parser.unreader.take_buffered()
        conn.is_early = bool(following)
        if following:
            self._receive(conn, following)

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: Exception) -> None:
        """Answer a request that cannot be read with a problem that repeats no part of it."""
        if not is_unreadable(exc):
            super().handle_error(req, client, addr, exc)
            return
        status, detail = refusal_of(exc)
        self.log.warning("refused a request with %s: %s: %s", status, type(exc).__name__, shortened(str(exc)))
        try:
            client.send(problem(status, detail))
        except OSError as error:
            self.log.debug("the refusal of a request was not sent: %s", error)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Whether the connection can be used again: drains the rest of a body."""
        try:
            return keepalive and bool(conn.parser.finish_body(max_bytes=DRAINED_BYTES))
        except HTTPException:  # the client is slow
            return False
