"""Settings: one frozen record, read from environment variables with the prefix RIGHTFIT_.

Each field of `Settings` is the one declaration of a setting: its name, type, default, allowed values, unit and meaning.
This module reads the environment itself, in some 60 lines. environs and pydantic-settings would load marshmallow or
pydantic into every process, trainers included, and report neither all faults at once nor the allowed range of each.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from service.core.errors import SettingsError
from service.core.records.job import Retries
from service.core.records.quotas import Quotas
from service.core.telemetry.logging_setup import FORMATS, LEVELS
from service.core.text.hosts import HostList, networks

PREFIX = "RIGHTFIT_"
CHECK = "check"  # the key of a field's Check in its metadata
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
REDIS_URL = re.compile(r"rediss?://([^/?#@]*@)?([^/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/\d*)?")
BOOLEANS = {"no": False, "yes": True}


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _in_range(kind: Callable[[str], float], low: float, high: float, text: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        raise ValueError from None
    if not low <= value <= high:
        raise ValueError
    return value


def _one_of(values: Mapping[str, Any], text: str) -> Any:
    if text not in values:
        raise ValueError
    return values[text]


def _redis_url(text: str) -> str:
    if not REDIS_URL.fullmatch(text):
        raise ValueError
    return text


def _networks(text: str) -> str:
    networks(text)
    return text


def _hosts(text: str) -> str:
    HostList.parse(text)
    return text


@dataclass(frozen=True)
class Check:
    """How the text of a variable is read: `parse` raises ValueError for text that is not `allowed`."""

    parse: Callable[[str], Any]
    allowed: str
    is_secret: bool = False  # an error message does not repeat the value

    def fault(self, name: str, text: str, reason: str) -> str:
        """The error message for a value that `parse` refused."""
        value = "has a value that is not allowed" if self.is_secret else f"is {text!r}"
        return f"{_variable(name)} {value}; allowed: {self.allowed}{f': {reason}' if reason else ''}"


def text() -> dict[str, Check]:
    return {CHECK: Check(str, "any text")}


def whole(low: int, high: int) -> dict[str, Check]:
    return {CHECK: Check(partial(_in_range, int, low, high), f"a whole number from {low} to {high}")}


def number(low: float, high: float) -> dict[str, Check]:
    return {CHECK: Check(partial(_in_range, float, low, high), f"a number from {low} to {high}")}


def choice(*allowed: str) -> dict[str, Check]:
    return {CHECK: Check(partial(_one_of, {word: word for word in allowed}), ", ".join(allowed))}


def yes_or_no() -> dict[str, Check]:
    return {CHECK: Check(partial(_one_of, BOOLEANS), ", ".join(BOOLEANS))}


def redis_address() -> dict[str, Check]:
    return {CHECK: Check(_redis_url, "redis[s]://[USER:PASSWORD@]HOST[:PORT][/N]", is_secret=True)}


def network_list() -> dict[str, Check]:
    return {CHECK: Check(_networks, "networks as 10.0.0.0/8, ::1")}


def host_list() -> dict[str, Check]:
    return {CHECK: Check(_hosts, "hosts as rightfit.example.org, *.example.net, 10.0.0.7, or * for all")}


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where things are and how large they may grow."""

    home: Path = field(metadata=text())  # folder of the local database, storage and logs; "var" unless set
    database_url: str = field(metadata=text())  # sqlite:///FILE or postgresql://…; a file in `home` unless set
    storage_url: str = field(metadata=text())  # a folder or s3://BUCKET/PREFIX; a folder in `home` unless set
    redis_url: str | None = field(default=None, metadata=redis_address())  # None: make serve starts a broker

    host: str = field(default="127.0.0.1", metadata=text())  # address that the API listens on
    port: int = field(default=8000, metadata=whole(0, 65535))  # of the API; 0: any free one
    api_processes: int = field(default=1, metadata=whole(1, 64))
    api_threads: int = field(default=160, metadata=whole(40, 1024))  # of each API process; a waiting request holds one
    auth: str = field(default="none", metadata=choice("none", "keys"))
    allow_no_auth: bool = field(default=False, metadata=yes_or_no())  # serve beyond loopback without keys
    requests_per_minute: int | None = field(default=None, metadata=whole(1, 1_000_000))  # of each key
    allowed_hosts: str = field(default="", metadata=host_list())  # answered as well as loopback and `host`
    trusted_proxies: str = field(default="", metadata=network_list())  # their X-Forwarded-… headers are believed
    max_body_bytes: int = field(default=1 << 20, metadata=whole(1024, 1 << 40))  # of a request other than an upload
    webhook_networks: str = field(default="", metadata=network_list())  # private networks that webhooks may call

    quota_queued_jobs: int | None = field(default=None, metadata=whole(1, 1 << 50))  # quotas are per tenant
    quota_running_jobs: int | None = field(default=None, metadata=whole(1, 1 << 50))
    quota_dataset_bytes: int | None = field(default=None, metadata=whole(1, 1 << 60))
    quota_stored_bytes: int | None = field(default=None, metadata=whole(1, 1 << 60))
    quota_datasets: int = field(default=10_000, metadata=whole(1, 1 << 50))
    quota_weights: int = field(default=10_000, metadata=whole(1, 1 << 50))  # files of uploaded weights
    quota_webhook_messages: int = field(default=100_000, metadata=whole(1, 1 << 50))  # that are not delivered yet
    quota_streams: int = field(default=100, metadata=whole(1, 1 << 50))  # of events, in each process of the API

    metrics: str = field(default="open", metadata=choice("open", "keys"))  # keys: /metrics of the API needs a key
    metrics_host: str = field(default="127.0.0.1", metadata=text())  # address of a worker's /metrics and /livez
    metrics_port: int | None = field(default=None, metadata=whole(1, 65535))  # None: a worker serves neither
    log_format: str = field(default="console", metadata=choice(*FORMATS))
    log_level: str = field(default="info", metadata=choice(*LEVELS))

    max_upload_bytes: int = field(default=10 << 30, metadata=whole(1024, 1 << 50))  # of a data set or weights as sent
    max_dataset_bytes: int = field(default=50 << 30, metadata=whole(1024, 1 << 50))  # of a data set once decoded
    read_seconds: int = field(default=3600, metadata=whole(1, 86400))  # the longest that reading a data set may take
    published_weights: bool = field(default=False, metadata=yes_or_no())  # workers reach those of torchvision and timm
    disk_reserve_bytes: int = field(default=1 << 30, metadata=whole(0, 1 << 50))  # of each disk, that stay free
    cache_bytes: int = field(default=50 << 30, metadata=whole(0, 1 << 50))  # unused data sets that a worker keeps
    max_parameters: int = field(default=200_000_000, metadata=whole(1, 1 << 40))  # of a model
    max_memory_bytes: int = field(default=64 << 30, metadata=whole(1 << 20, 1 << 50))  # that a job's plan may need

    threads: int = field(
        default_factory=_cores, metadata=whole(1, 1024)
    )  # of a worker's trainers; all cores unless set
    slots: int | None = field(default=None, metadata=whole(1, 1024))  # jobs side by side at most; None: one a thread
    resident_bytes: int | None = field(default=None, metadata=whole(0, 1 << 50))  # images kept on the device
    lease_seconds: float = field(default=60.0, metadata=number(1, 3600))  # a worker silent for longer loses its job
    heartbeat_seconds: float = field(default=10.0, metadata=number(0.1, 600))  # between two signs of life
    hint_seconds: float = field(default=60.0, metadata=number(0.1, 3600))  # until a hint is sent again
    dispatch_seconds: float = field(default=3.0, metadata=number(0.1, 600))  # between two looks at the queue
    stop_seconds: float = field(default=30.0, metadata=number(0, 3600))  # a trainer has to stop before it is killed
    attempts: int = field(default=3, metadata=whole(1, 100))  # lost attempts after which a job has failed
    backoff_seconds: float = field(default=5.0, metadata=number(0, 3600))  # after the first lost attempt, then doubled
    stall_seconds: float = field(default=600.0, metadata=number(1, 86400))  # without a batch, until a trainer is ended
    checkpoint_seconds: float = field(default=10.0, metadata=number(0, 86400))  # between two checkpoints

    keep_checkpoints_days: float | None = field(default=None, metadata=number(0.01, 36500))  # None: for ever
    keep_jobs_days: float | None = field(default=None, metadata=number(0.01, 36500))
    keep_datasets_days: float | None = field(default=None, metadata=number(0.01, 36500))
    keep_weights_days: float | None = field(default=None, metadata=number(0.01, 36500))
    keep_orphans_days: float | None = field(default=None, metadata=number(1, 36500))

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment; an empty variable counts as unset. Raises SettingsError with every fault."""
        home = Path(env.get(_variable("home")) or "var").resolve()
        values: dict[str, Any] = {"database_url": f"sqlite:///{home / 'rightfit.db'}", "storage_url": f"{home}/storage"}
        faults = []
        for setting in fields(cls):
            check: Check = setting.metadata[CHECK]
            if given := env.get(_variable(setting.name)):
                try:
                    values[setting.name] = check.parse(given)
                except ValueError as error:
                    faults.append(check.fault(setting.name, given, str(error)))
        settings = cls(**values | {"home": home})
        if faults := [*faults, *settings._contradictions()]:
            raise SettingsError("; ".join(faults))
        return settings

    def _contradictions(self) -> list[str]:
        faults = []
        if self.heartbeat_seconds * 2 > self.lease_seconds:
            faults.append("RIGHTFIT_HEARTBEAT_SECONDS must be at most half of RIGHTFIT_LEASE_SECONDS")
        if self.metrics == "keys" and self.auth == "none":
            faults.append("RIGHTFIT_METRICS=keys needs RIGHTFIT_AUTH=keys: there are no keys without it")
        return faults

    @property
    def broker_url(self) -> str:
        """The address of Redis: that of the setting, or else its usual port on this machine."""
        return self.redis_url or DEFAULT_REDIS_URL

    @property
    def quotas(self) -> Quotas:
        return Quotas(
            self.quota_queued_jobs,
            self.quota_running_jobs,
            self.quota_dataset_bytes,
            self.quota_stored_bytes,
            self.quota_datasets,
            self.quota_webhook_messages,
            self.quota_weights,
        )

    @property
    def removes_anything(self) -> bool:
        """Whether any kind of data is deleted after some time."""
        of_tenants = (self.keep_checkpoints_days, self.keep_jobs_days, self.keep_datasets_days, self.keep_weights_days)
        return any(limit is not None for limit in (*of_tenants, self.keep_orphans_days))

    @property
    def retries(self) -> Retries:
        return Retries(self.attempts, self.backoff_seconds)

    def to_env(self) -> dict[str, str]:
        """The variables from which a child process reads the same settings."""
        words = {value: word for word, value in BOOLEANS.items()}
        return {
            _variable(name): words[value] if isinstance(value, bool) else str(value)
            for name, value in vars(self).items()
            if value is not None
        }
