"""The one tree of domain errors. How each is told over HTTP is decided in service/http/errors.py, nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with what a client sent: where (a JSON pointer, RFC 6901), what, and what is allowed.

    `follows_from` names the other values that make this one wrong.
    """

    pointer: str
    detail: str
    allowed: str | None = None
    follows_from: tuple[str, ...] = ()


class RightfitError(Exception):
    """Something Rightfit was asked to do cannot be done."""

    code = "internal_error"


class SettingsError(RightfitError):
    """The environment asks for something that cannot be run."""

    code = "bad_settings"


class NotFound(RightfitError):
    """There is no such thing, or it belongs to someone else."""

    code = "not_found"


class Conflict(RightfitError):
    """The present status does not allow this."""

    code = "conflict"


class Invalid(RightfitError):
    """What was sent is well-formed but wrong; every fault is listed."""

    code = "invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


class Unauthorized(RightfitError):
    """The request does not say who sent it."""

    code = "unauthorized"


class Forbidden(RightfitError):
    """Whoever sent the request may not do this."""

    code = "forbidden"


class TooMany(RightfitError):
    """More than is allowed at once; `retry_after` says in how many seconds it may be tried again."""

    code = "too_many_requests"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(TooMany):
    """A tenant has as much as it may have."""

    code = "quota_exceeded"


class Refused(RightfitError):
    """An address that may not be called."""

    code = "refused"


class KeyReused(RightfitError):
    """An Idempotency-Key was sent before with another request."""

    code = "idempotency_key_reused"


class LeaseLost(RightfitError):
    """The job is no longer this worker's: its attempt was superseded, ended or deleted."""

    code = "lease_lost"


class DatabaseError(RightfitError):
    """The database did not carry out a statement. `reason` is the driver's message in one line."""

    code = "internal_error"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or all connections are in use; a later attempt may succeed."""

    code = "database_unavailable"


class SchemaOutdated(DatabaseError):
    """A table or column of this version is missing; `rightfit migrate` makes it."""

    code = "database_unavailable"


class StorageError(RightfitError):
    """A stored object is missing or the storage cannot be used."""

    code = "storage_error"


class ObjectMissing(StorageError):
    """The storage answers, and has no such object, or one with other content."""

    code = "object_missing"


class TrainingError(RightfitError):
    """A run cannot go on; `origin` says whose fault it is: user, data or infrastructure."""

    origin = "infrastructure"
    stop_reason = "internal_error"


class InvalidData(TrainingError):
    """The data cannot be trained on."""

    code = "invalid_data"
    origin = "data"
    stop_reason = "invalid_data"


class DatasetUnavailable(TrainingError):
    """The images of a published data set cannot be had on this worker."""

    code = "dataset_unavailable"


class DeviceUnavailable(TrainingError):
    """The device the spec names is not on this worker."""

    code = "device_unavailable"


class CompilerUnavailable(TrainingError):
    """The spec asks for a compiled network and the worker has no compiler."""

    code = "compiler_unavailable"


class PretrainedUnavailable(TrainingError):
    """The published weights that the spec asks for cannot be had on this worker."""

    code = "pretrained_unavailable"


class SpecNotUnderstood(TrainingError):
    """The job was accepted by a newer release than this worker's."""

    code = "spec_not_understood"


class CheckpointMismatch(TrainingError):
    """A run cannot be resumed from the checkpoint of another one."""

    code = "checkpoint_mismatch"
