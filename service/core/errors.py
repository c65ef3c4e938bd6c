"""The one tree of domain errors. service/http/errors.py alone turns them into HTTP answers."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault of a request: its place (a JSON pointer, RFC 6901), what is wrong, and what is allowed.

    `follows_from` has the pointers of the other values that make this one wrong.
    """

    pointer: str
    detail: str
    allowed: str | None = None
    follows_from: tuple[str, ...] = ()


class RightfitError(Exception):
    """The base of all errors that Rightfit raises on purpose."""

    code = "internal_error"


class SettingsError(RightfitError):
    """The settings in the environment are invalid."""

    code = "bad_settings"


class NoRoom(RightfitError):
    """A worker has no room for the job that is first in the queue until one of its running jobs ends."""

    code = "no_room"


class NotFound(RightfitError):
    """The resource does not exist, or belongs to another tenant."""

    code = "not_found"


class Conflict(RightfitError):
    """The current status of the resource does not allow the operation."""

    code = "conflict"


class Invalid(RightfitError):
    """The request is well-formed but invalid; `faults` lists every fault."""

    code = "invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


class Unauthorized(RightfitError):
    """The request carries no valid credentials."""

    code = "unauthorized"


class Forbidden(RightfitError):
    """The credentials of the request do not permit this operation."""

    code = "forbidden"


class Misdirected(RightfitError):
    """The request is for a host that this service does not answer to."""

    code = "misdirected_request"


class TooMany(RightfitError):
    """A rate or concurrency limit is exceeded; `retry_after` is the number of seconds to wait."""

    code = "too_many_requests"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(TooMany):
    """The tenant's quota is used up."""

    code = "quota_exceeded"


class Refused(RightfitError):
    """A webhook address that must not be called."""

    code = "refused"


class KeyReused(RightfitError):
    """The Idempotency-Key was used before with a different request."""

    code = "idempotency_key_reused"


class LeaseLost(RightfitError):
    """This worker no longer holds the job: its attempt was superseded, or the job ended or was deleted."""

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


class BrokerUnavailable(RightfitError):
    """Redis cannot be reached or used. Its message is the driver's."""

    code = "broker_unavailable"


class StorageError(RightfitError):
    """A stored object is missing or the storage cannot be used."""

    code = "storage_error"


class DiskFull(StorageError):
    """The disk has no room beyond its reserve; a later attempt may succeed."""

    code = "disk_full"


class ObjectMissing(StorageError):
    """The storage is reachable but lacks the object, or holds it with different content."""

    code = "object_missing"


class TrainingError(RightfitError):
    """A run cannot continue; `origin` is the cause: user, data or infrastructure."""

    origin = "infrastructure"
    stop_reason = "internal_error"


class InvalidData(TrainingError):
    """The data cannot be trained on."""

    code = "invalid_data"
    origin = "data"
    stop_reason = "invalid_data"


class DatasetUnavailable(TrainingError):
    """This worker cannot get the images of a published data set."""

    code = "dataset_unavailable"


class DeviceUnavailable(TrainingError):
    """This worker lacks the device that the spec names."""

    code = "device_unavailable"


class CompilerUnavailable(TrainingError):
    """The spec asks for a compiled network and the worker has no compiler."""

    code = "compiler_unavailable"


class PretrainedUnavailable(TrainingError):
    """This worker cannot get the published weights that the spec asks for."""

    code = "pretrained_unavailable"


class SpecNotUnderstood(TrainingError):
    """The job was accepted by a newer release than the worker runs."""

    code = "spec_not_understood"


class CheckpointMismatch(TrainingError):
    """The checkpoint belongs to a different run."""

    code = "checkpoint_mismatch"
