"""Cross-validations: submit one, wait for it, read its scores, evaluation and predictions."""

from collections.abc import Iterator
from pathlib import Path
from time import sleep
from urllib.parse import quote

from service.client.download import check_target, export
from service.client.transport import Transport, given, idempotency
from service.client.types import Json, Progress

PAUSE_SECONDS = 1.0  # between two polls


class Folds:
    """The cross-validations of a client: `client.folds`. Its methods raise what those of the client raise."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, spec: Json, folds: int = 5, seeds: int = 1, key: str | None = None) -> Json:
        """Queue a job for each of 2 to 20 folds under each of 1 to 10 seeds; returns the cross-validation with its id.

        `key` is an Idempotency-Key, as in the client's `submit`.
        """
        body = {"spec": spec, "folds": folds, "seeds": seeds}
        return self._transport.json("POST", "/v1/folds", json=body, headers=idempotency(key))

    def plan(self, spec: Json, folds: int = 5, seeds: int = 1) -> Json:
        """Validate without queueing a job. Returns `jobs`, their number, and the plan of one of them."""
        body = {"spec": spec, "folds": folds, "seeds": seeds}
        return self._transport.json("POST", "/v1/folds", json=body, params={"validate_only": True})

    def get(self, folds_id: str) -> Json:
        """A cross-validation as it is now: its `status`, `runs`, `scores` over the folds and `summary`."""
        return self._transport.json("GET", _path(folds_id))

    def list(self, limit: int = 20) -> list[Json]:
        """Cross-validations, newest first."""
        return self._transport.pages("/v1/folds", limit)

    def changes(self, folds_id: str) -> Iterator[Json]:
        """The cross-validation now, and again after each change, until all of its jobs have ended."""
        former: Json = {}
        while former.get("status", "running") == "running":
            if former:
                sleep(PAUSE_SECONDS)
            found = self.get(folds_id)
            if found != former:
                yield found
            former = found

    def wait(self, folds_id: str) -> Json:
        """Wait until all jobs have ended, and return the cross-validation."""
        *_, last = self.changes(folds_id)
        return last

    def cancel(self, folds_id: str) -> Json:
        """Cancel all jobs that have not ended."""
        return self._transport.json("POST", _path(folds_id, "cancel"))

    def delete(self, folds_id: str) -> None:
        """Delete a cross-validation whose jobs have all ended; the jobs stay."""
        self._transport.call("DELETE", _path(folds_id))

    def evaluation(
        self,
        folds_id: str,
        seed: int | None = None,
        *,
        mistakes: int = 20,
        label: str | None = None,
        guess: str | None = None,
    ) -> Json:
        """The out-of-fold predictions of one seed or of all, evaluated; the arguments are those of the client's
        `evaluation`.
        """
        params = {"seed": seed, "label": label, "guess": guess, "mistakes": mistakes}
        return self._transport.json("GET", _path(folds_id, "evaluation"), params=given(params))

    def download(self, folds_id: str, target: Path, progress: Progress | None = None) -> None:
        """Download the out-of-fold predictions as an npz file to `target`, as the client's `export` does."""
        check_target(target)
        export(self._transport, _path(folds_id, "predictions.npz"), target, progress)


def _path(folds_id: str, *rest: str) -> str:
    return "/".join(["/v1/folds", *(quote(part, safe="") for part in (folds_id, *rest))])
