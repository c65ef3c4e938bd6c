"""Fits: submit one, follow its trials, wait for its model, download it."""

from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import quote

from service.client.download import artifact, check_target, download, export
from service.client.events import read_events, stream_events
from service.client.transport import Transport, given, idempotency
from service.client.types import Event, Json, Progress

PAUSE_SECONDS = 1.0  # between two polls
REPORT = "fit.md"  # is made when it is asked for, so it has no digest in the manifest


class Fits:
    """The fits of a client: `client.fits`. Its methods raise what those of the client raise."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self,
        dataset: str | Json,
        minutes: float | None = None,
        jobs: int | None = None,
        *,
        key: str | None = None,
        **options: Any,
    ) -> Json:
        """Start a fit of a data set, given by its id or as the member `dataset` of a job spec; returns it with its id.

        The budget is either `minutes` of wall time or a number of `jobs`. `options` are the other members of the
        request: `spec` (the base), `space`, `objective`, `seeds`, `ensemble`, `seed`, `name`, `labels`, `webhook`.
        `key` is an Idempotency-Key, as in the client's `submit`.
        """
        body = _request(dataset, minutes=minutes, jobs=jobs, **options)
        return self._transport.json("POST", "/v1/fits", json=body, headers=idempotency(key))

    def plan(self, dataset: str | Json, minutes: float | None = None, jobs: int | None = None, **options: Any) -> Json:
        """Validate without starting anything. Returns the plan of the base, `space`, `slots` and `first_trials`."""
        body = _request(dataset, minutes=minutes, jobs=jobs, **options)
        return self._transport.json("POST", "/v1/fits", json=body, params={"validate_only": True})

    def get(self, fit_id: str) -> Json:
        """A fit as it is now: its `status`, `budget`, `best`, `gain`, `test`, `leaderboard`, `steps` and `summary`."""
        return self._transport.json("GET", _path(fit_id))

    def changes(self, fit_id: str) -> Iterator[Json]:
        """The fit now, and again each second while it runs, until it has ended."""
        while (found := self.get(fit_id))["status"] == "running":
            yield found
            sleep(PAUSE_SECONDS)
        yield found

    def wait(self, fit_id: str) -> Json:
        """Wait until the fit has ended, and return it."""
        *_, last = self.changes(fit_id)
        return last

    def events(self, fit_id: str, after: int = 0) -> list[Event]:
        """The decisions of a fit up to now as events, after the event with the id `after`."""
        return read_events(self._transport, _path(fit_id, "events"), after)

    def stream(self, fit_id: str, after: str = "") -> Iterator[Event]:
        """The decisions of a fit as events, live until it has ended, as the client's `stream` has those of a job."""
        return stream_events(self._transport, _path(fit_id, "events"), after)

    def cancel(self, fit_id: str) -> Json:
        """Cancel a fit and its jobs; the best model so far is kept."""
        return self._transport.json("POST", _path(fit_id, "cancel"))

    def delete(self, fit_id: str) -> None:
        """Delete an ended fit; its jobs stay."""
        self._transport.call("DELETE", _path(fit_id))

    def artifacts(self, fit_id: str) -> list[Json]:
        """The files of the kept model: `name`, `bytes`, `sha256` of each."""
        manifest: list[Json] = self._transport.json("GET", _path(fit_id, "artifacts"))["data"]
        return manifest

    def download(self, fit_id: str, name: str, target: Path, progress: Progress | None = None) -> str:
        """Download a file of the kept model to `target`, as the client's `download` does; returns its SHA-256."""
        check_target(target)
        source = artifact(_path(fit_id, "artifacts", name), name, self.artifacts(fit_id))
        return download(self._transport, source, target, progress)

    def report(self, fit_id: str) -> str:
        """The report `fit.md`: what was tried and why, what is proved, what it cost."""
        return self._transport.call("GET", _path(fit_id, "artifacts", REPORT)).text

    def ensemble(self, fit_id: str, target: Path, progress: Progress | None = None) -> None:
        """Download the models of the ensemble as a zip, for a fit that was submitted with `ensemble=True`. It is
        written block by block, as the client's `export` does.
        """
        check_target(target)
        export(self._transport, _path(fit_id, "artifacts", "ensemble.zip"), target, progress)

    def learned(self) -> list[Json]:
        """What cures did in the newest fits, the best first. It orders advice, and the cures of the next fits."""
        effects: list[Json] = self._transport.json("GET", "/v1/fits/learned")["data"]
        return effects

    def forget(self) -> None:
        """Forget what the fits have shown; they stay."""
        self._transport.call("DELETE", "/v1/fits/learned")

    def list(self, limit: int = 20) -> list[Json]:
        """Fits, newest first, without their trials."""
        return self._transport.pages("/v1/fits", limit)


def _request(dataset: str | Json, **members: Any) -> Json:
    return {"dataset": {"id": dataset} if isinstance(dataset, str) else dataset, **given(members)}


def _path(fit_id: str, *rest: str) -> str:
    return "/".join(["/v1/fits", *(quote(part, safe="") for part in (fit_id, *rest))])
