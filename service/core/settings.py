"""Settings: one frozen record, read from environment variables with the prefix RIGHTFIT_."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from service.core.errors import SettingsError
from service.core.records.job import Retries
from service.core.records.quotas import Quotas
from service.core.telemetry.logging_setup import FORMATS, LEVELS
from service.core.webhooks.addresses import networks

REDIS_URL = re.compile(r"rediss?://([^/?#@]*@)?([^/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/\d*)?")

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Settings:
    """Where things are and how large they may grow. Times are in seconds."""

    home: Path
    database_url: str
    storage_url: str
    redis_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    auth: str = "none"
    webhook_networks: str = ""
    requests_per_minute: int | None = None
    quota_queued_jobs: int | None = None
    quota_running_jobs: int | None = None
    quota_dataset_bytes: int | None = None
    quota_stored_bytes: int | None = None
    allow_no_auth: bool = False
    threads: int = 1
    resident_bytes: int | None = None
    api_processes: int = 1
    api_threads: int = 160
    metrics: str = "open"
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    log_format: str = "console"
    log_level: str = "info"
    max_body_bytes: int = 1 << 20
    max_upload_bytes: int = 10 << 30
    max_dataset_bytes: int = 50 << 30
    read_seconds: int = 3600
    cache_bytes: int = 50 << 30
    max_parameters: int = 200_000_000
    max_memory_bytes: int = 64 << 30
    lease_seconds: float = 60.0
    heartbeat_seconds: float = 10.0
    hint_seconds: float = 60.0
    dispatch_seconds: float = 3.0
    stop_seconds: float = 30.0
    attempts: int = 3
    backoff_seconds: float = 5.0
    stall_seconds: float = 600.0
    checkpoint_seconds: float = 10.0
    keep_checkpoints_days: float | None = None
    keep_jobs_days: float | None = None
    keep_datasets_days: float | None = None
    keep_orphans_days: float | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment; raises SettingsError that names every variable at fault and what is allowed."""
        home = Path(env.get("RIGHTFIT_HOME") or "var").resolve()
        reader = _Reader(env)
        settings = cls(
            home=home,
            database_url=env.get("RIGHTFIT_DATABASE_URL") or f"sqlite:///{home / 'rightfit.db'}",
            storage_url=env.get("RIGHTFIT_STORAGE_URL") or str(home / "storage"),
            redis_url=reader.redis_url(),
            host=env.get("RIGHTFIT_HOST") or "127.0.0.1",
            port=reader.integer("PORT", 8000, 0, 65535),
            auth=reader.choice("AUTH", ("none", "keys")),
            webhook_networks=reader.networks("WEBHOOK_NETWORKS"),
            requests_per_minute=reader.optional_integer("REQUESTS_PER_MINUTE", 1, 1_000_000),
            quota_queued_jobs=reader.optional_integer("QUOTA_QUEUED_JOBS", 1, 1 << 50),
            quota_running_jobs=reader.optional_integer("QUOTA_RUNNING_JOBS", 1, 1 << 50),
            quota_dataset_bytes=reader.optional_integer("QUOTA_DATASET_BYTES", 1, 1 << 60),
            quota_stored_bytes=reader.optional_integer("QUOTA_STORED_BYTES", 1, 1 << 60),
            allow_no_auth=reader.choice("ALLOW_NO_AUTH", ("no", "yes")) == "yes",
            threads=reader.integer("THREADS", len(os.sched_getaffinity(0)), 1, 1024),
            resident_bytes=reader.optional_integer("RESIDENT_BYTES", 0, 1 << 50),
            api_processes=reader.integer("API_PROCESSES", 1, 1, 64),
            api_threads=reader.integer("API_THREADS", 160, 40, 1024),
            metrics=reader.choice("METRICS", ("open", "keys")),
            metrics_host=env.get("RIGHTFIT_METRICS_HOST") or "127.0.0.1",
            metrics_port=reader.optional_integer("METRICS_PORT", 1, 65535),
            log_format=reader.choice("LOG_FORMAT", FORMATS),
            log_level=reader.choice("LOG_LEVEL", LEVELS),
            max_body_bytes=reader.integer("MAX_BODY_BYTES", 1 << 20, 1024, 1 << 40),
            max_upload_bytes=reader.integer("MAX_UPLOAD_BYTES", 10 << 30, 1024, 1 << 50),
            max_dataset_bytes=reader.integer("MAX_DATASET_BYTES", 50 << 30, 1024, 1 << 50),
            read_seconds=reader.integer("READ_SECONDS", 3600, 1, 86400),
            cache_bytes=reader.integer("CACHE_BYTES", 50 << 30, 0, 1 << 50),
            max_parameters=reader.integer("MAX_PARAMETERS", 200_000_000, 1, 1 << 40),
            max_memory_bytes=reader.integer("MAX_MEMORY_BYTES", 64 << 30, 1 << 20, 1 << 50),
            lease_seconds=reader.number("LEASE_SECONDS", 60, 1, 3600),
            heartbeat_seconds=reader.number("HEARTBEAT_SECONDS", 10, 0.1, 600),
            hint_seconds=reader.number("HINT_SECONDS", 60, 0.1, 3600),
            dispatch_seconds=reader.number("DISPATCH_SECONDS", 3, 0.1, 600),
            stop_seconds=reader.number("STOP_SECONDS", 30, 0, 3600),
            attempts=reader.integer("ATTEMPTS", 3, 1, 100),
            backoff_seconds=reader.number("BACKOFF_SECONDS", 5, 0, 3600),
            stall_seconds=reader.number("STALL_SECONDS", 600, 1, 86400),
            checkpoint_seconds=reader.number("CHECKPOINT_SECONDS", 10, 0, 86400),
            keep_checkpoints_days=reader.optional_number("KEEP_CHECKPOINTS_DAYS", 0.01, 36500),
            keep_jobs_days=reader.optional_number("KEEP_JOBS_DAYS", 0.01, 36500),
            keep_datasets_days=reader.optional_number("KEEP_DATASETS_DAYS", 0.01, 36500),
            keep_orphans_days=reader.optional_number("KEEP_ORPHANS_DAYS", 1, 36500),
        )
        if settings.heartbeat_seconds * 2 > settings.lease_seconds:
            reader.faults.append("RIGHTFIT_HEARTBEAT_SECONDS must be at most half of RIGHTFIT_LEASE_SECONDS")
        if settings.metrics == "keys" and settings.auth == "none":
            reader.faults.append("RIGHTFIT_METRICS=keys needs RIGHTFIT_AUTH=keys: without that there are no keys")
        if reader.faults:
            raise SettingsError("; ".join(reader.faults))
        return settings

    @property
    def quotas(self) -> Quotas:
        return Quotas(
            self.quota_queued_jobs, self.quota_running_jobs, self.quota_dataset_bytes, self.quota_stored_bytes
        )

    @property
    def removes_anything(self) -> bool:
        """Whether anything is not kept for ever."""
        kept = (self.keep_checkpoints_days, self.keep_jobs_days, self.keep_datasets_days, self.keep_orphans_days)
        return any(days is not None for days in kept)

    @property
    def retries(self) -> Retries:
        return Retries(self.attempts, self.backoff_seconds)

    def to_env(self) -> dict[str, str]:
        """The variables that make a child process read these very settings."""
        values = {
            name: "yes" if value is True else "no" if value is False else str(value)
            for name, value in vars(self).items()
            if value is not None
        }
        return {f"RIGHTFIT_{name.upper()}": value for name, value in values.items()}


class _Reader:
    """Reads one variable after another; of those at fault, `faults` tells, and the default stands in."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.faults: list[str] = []

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return self._parsed(float, "a number", name, default, low, high)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        return self._parsed(int, "a whole number", name, default, low, high)

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        return self.integer(name, low, low, high) if self._env.get(f"RIGHTFIT_{name}") else None

    def optional_number(self, name: str, low: float, high: float) -> float | None:
        return self.number(name, low, low, high) if self._env.get(f"RIGHTFIT_{name}") else None

    def networks(self, name: str) -> str:
        text = self._env.get(f"RIGHTFIT_{name}") or ""
        try:
            networks(text)
        except ValueError as error:
            self.faults.append(f"RIGHTFIT_{name} is {text!r}; allowed: networks as 10.0.0.0/8, ::1: {error}")
        return text

    def redis_url(self) -> str | None:
        text = self._env.get("RIGHTFIT_REDIS_URL") or None
        if text is None or REDIS_URL.fullmatch(text):
            return text
        self.faults.append(
            "RIGHTFIT_REDIS_URL is not an address of Redis; allowed: redis[s]://[USER:PASSWORD@]HOST[:PORT][/N]"
        )
        return None

    def _parsed(
        self, kind: Callable[[str], Number], words: str, name: str, default: Number, low: Number, high: Number
    ) -> Number:
        text = self._env.get(f"RIGHTFIT_{name}") or str(default)
        try:
            value = kind(text)
            if low <= value <= high:
                return value
        except ValueError:
            pass
        self.faults.append(f"RIGHTFIT_{name} is {text!r}; allowed: {words} from {low} to {high}")
        return default

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        text = self._env.get(f"RIGHTFIT_{name}") or allowed[0]
        if text not in allowed:
            self.faults.append(f"RIGHTFIT_{name} is {text!r}; allowed: {', '.join(allowed)}")
        return text
