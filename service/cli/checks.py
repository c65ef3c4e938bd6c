"""The checks of `doctor`. Each reports what it found and, after a failure, how to repair it."""

import difflib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from importlib import metadata
from pathlib import Path

import httpx

from service.cli import maintenance
from service.cli.check import Check
from service.client import DEFAULT_URL, LOOPBACK, NotRightfit, UnusableKey, bearer, document
from service.core.broker.server import describe
from service.core.errors import BrokerUnavailable, DatabaseError, RightfitError, SettingsError
from service.core.settings import Settings
from service.core.sql.engine import Database, redacted
from service.core.sql.worker_registry import WorkerRegistry
from service.core.storage import LocalStorage, Storage, open_storage
from service.core.text import counted
from service.stack.standalone import broker_binary, refuse_open_door

OTHERS = 0o077  # the bits of a mode for all users but the owner
TIMEOUT = 5.0  # seconds, of a connection and of an answer
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
PLACES = ("RIGHTFIT_HOME", "RIGHTFIT_DATABASE_URL", "RIGHTFIT_REDIS_URL", "RIGHTFIT_STORAGE_URL")
VARIABLES = {f"RIGHTFIT_{field.name.upper()}" for field in fields(Settings)} | {"RIGHTFIT_URL", "RIGHTFIT_API_KEY"}
PACKAGES = ("rightfit", "torch", "torchvision", "celery", "sqlalchemy", "flask")


def run_checks(env: Mapping[str, str], url: str | None) -> Iterator[Check]:
    """All checks, in the order of their dependencies. `url` is the address of a service, None without one.

    In a folder without a stack the service at `url`, or at its usual address, is asked instead.
    """
    yield from _unknown_variables(env)
    reason = _not_here(env, url)
    if reason:
        yield Check("this machine", True, f"not checked: {reason}, and RIGHTFIT_HOME is not set")
    else:
        yield from _this_machine(env)
    yield _gpu()
    yield _versions()
    if url or reason:
        yield _api(url or DEFAULT_URL, env.get("RIGHTFIT_API_KEY"))


def _not_here(env: Mapping[str, str], url: str | None) -> str | None:
    """Why the stack is not in this folder or not on this machine; None if it is, or if a setting says where it is."""
    if any(env.get(name) for name in PLACES):
        return None
    if url and httpx.URL(url).host not in LOOPBACK:
        return "RIGHTFIT_URL is another machine"
    home = Settings.from_env({}).home
    return None if home.exists() else f"there is no stack in this folder ({home})"


def _this_machine(env: Mapping[str, str]) -> Iterator[Check]:
    try:
        settings = Settings.from_env(env)
    except SettingsError as error:
        yield Check("settings", False, str(error), "correct this environment variable")
        return
    faults = list(_contradictions(settings))
    if faults:
        yield Check("settings", False, "; ".join(faults), "correct this environment variable")
        return
    yield _home(settings.home)
    yield _broker(settings.redis_url)
    database = Database(settings.database_url)
    try:
        yield from _database(settings, database)
        result, storage = _storage(settings.storage_url)
        yield result
        yield maintenance.disks(settings, storage)
        yield maintenance.retention(settings)
        yield from maintenance.backups(settings, database)
    finally:
        database.close()


def _contradictions(settings: Settings) -> Iterator[str]:
    """All faults of settings that can be parsed, not only the first."""

    def check(action: Callable[[], object]) -> Iterator[str]:
        try:
            action()
        except SettingsError as error:
            yield str(error)

    yield from check(lambda: refuse_open_door(settings))
    yield from check(lambda: Database(settings.database_url).close())
    yield from check(lambda: open_storage(settings.storage_url))


def _unknown_variables(env: Mapping[str, str]) -> Iterator[Check]:
    for name in sorted(env):
        if name.startswith("RIGHTFIT_") and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1)
            suggestion = f"; did you mean {near[0]}?" if near else ""
            words = f"{name} is not known and has no effect{suggestion}"
            yield Check("variables", True, words, "correct its name or unset it")


def _home(home: Path) -> Check:
    """Whether a file can be created in the home, or in its nearest parent before the home exists."""
    try:
        with tempfile.TemporaryFile(dir=next(folder for folder in (home, *home.parents) if folder.exists())):
            if home.exists() and home.stat().st_mode & OTHERS:
                return Check("settings", True, f"home is {home}; other users can read it", f"run chmod 700 {home}")
            return Check("settings", True, f"home is {home}")
    except OSError as error:
        remedy = "make it writable, or set RIGHTFIT_HOME to another folder"
        return Check("settings", False, f"home {home} cannot be used: {error.strerror}", remedy)


def _broker(url: str | None) -> Check:
    if url is None:
        try:
            return Check("broker", True, f"`rightfit serve` starts its own: {broker_binary()}")
        except SettingsError as error:
            remedy = "install redis-server or valkey-server, or set RIGHTFIT_REDIS_URL"
            return Check("broker", False, str(error), remedy)
    try:
        words, remedy = maintenance.broker(describe(url, TIMEOUT))
    except BrokerUnavailable as error:
        remedy = "start it, or correct RIGHTFIT_REDIS_URL; queued jobs start when it is back"
        return Check("broker", False, f"{redacted(url)} does not answer: {error}", remedy)
    return Check("broker", True, f"{redacted(url)} answers: {words}", remedy)


def _database(settings: Settings, database: Database) -> Iterator[Check]:
    shown = redacted(settings.database_url)
    if not database.is_made:
        yield Check("database", True, f"{shown} does not exist yet; `rightfit serve` creates it")
        yield Check("workers", False, "none", "start the stack: rightfit serve")
        return
    try:
        is_migrated, revision = database.is_migrated(), database.revision()
        alive = WorkerRegistry(database).live_workers(settings.lease_seconds) if is_migrated else {}
        clock = maintenance.clock(database)
    except DatabaseError as error:
        remedy = "start it, or correct RIGHTFIT_DATABASE_URL"
        yield Check("database", False, f"{shown} cannot be used: {error.reason}", remedy)
        return
    if not is_migrated:
        remedy = "run rightfit migrate; `rightfit serve` migrates too"
        yield Check("database", False, f"{shown} has another schema than this version: {revision or 'none'}", remedy)
        return
    yield Check("database", True, f"{shown} answers, its schema is of this version or newer: {revision}")
    if not database.is_local:
        yield clock
    if alive:
        yield maintenance.releases(alive)
    else:
        remedy = "start the stack: rightfit serve; or one more worker with the same settings: python -m workers"
        yield Check("workers", False, f"no heartbeat in the last {settings.lease_seconds:.0f} s", remedy)


def _storage(url: str) -> tuple[Check, Storage | None]:
    """Whether the storage can be read and written; also returns the storage, None if it cannot be opened."""
    storage = None
    try:
        storage = open_storage(url)
        if isinstance(storage, LocalStorage) and not storage.root.exists():
            return Check("storage", True, f"{url} does not exist yet; `rightfit serve` creates it"), storage
        storage.check()
    except RightfitError as error:
        return Check("storage", False, f"{url}: {error}", "make it writable, or correct RIGHTFIT_STORAGE_URL"), storage
    return Check("storage", True, f"{url} can be written"), storage


def _gpu() -> Check:
    if shutil.which(NVIDIA_SMI[0]) is None:
        return Check("gpu", True, "no GPU found by nvidia-smi; jobs run on the CPU")
    try:
        ran = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("gpu", False, f"nvidia-smi fails: {error}", "repair the driver; jobs with device: cuda fail")
    return Check("gpu", True, "; ".join(ran.stdout.strip().splitlines()))


def _versions() -> Check:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:  # the API runs without torch, a worker without Flask
            continue
    return Check("versions", True, ", ".join([f"Python {platform.python_version()}", *versions]))


def _api(url: str, key: str | None) -> Check:
    here = httpx.URL(url).host in LOOPBACK
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=not here, headers=bearer(key)) as client:
            state, allowed = client.get("/readyz"), client.get("/v1/jobs", params={"limit": 1})
    except (httpx.TransportError, httpx.InvalidURL) as error:
        return Check("service", False, f"{url} cannot be reached: {error}", "start it, or correct RIGHTFIT_URL")
    except UnusableKey as error:
        return Check("service", False, str(error), "correct RIGHTFIT_API_KEY")
    if state.is_error:
        return Check("service", False, f"{url} is not ready: {state.text[:300].strip()}", "run rightfit doctor there")
    if allowed.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        remedy = "set RIGHTFIT_API_KEY to a key from `rightfit keys create` on its machine"
        return Check("service", False, f"{url} refuses the API key", remedy)
    try:
        workers = document(state).get("workers", 0)
    except NotRightfit as error:
        return Check("service", False, str(error), "correct RIGHTFIT_URL")
    remedy = "" if workers else "start a worker there; queued jobs wait for one"
    return Check("service", bool(workers), f"{url} is ready, {counted(workers, 'worker')}", remedy)
