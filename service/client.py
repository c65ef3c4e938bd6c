"""A thin client: `Rightfit(url).submit(spec)`, wait, look at the history, download."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

WAIT_SECONDS = 30.0  # of one long poll
PAUSE_SECONDS = 1.0  # between two polls that the service does not let wait

LOOPBACK = ("127.0.0.1", "::1", "localhost")

Json = dict[str, Any]


class ApiError(Exception):
    """The service answered with a problem; `problem` is it, as sent."""

    def __init__(self, problem: Json) -> None:
        faults = "".join(f"\n  {fault['pointer']}: {fault['detail']}" for fault in problem.get("errors", ()))
        super().__init__(f"{problem.get('status')} {problem.get('title')}: {problem.get('detail')}{faults}")
        self.problem = problem


class Rightfit:
    """One service. Raises ApiError for what it refuses and httpx.TransportError where it cannot be reached."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        here = httpx.URL(url).host in LOOPBACK  # never through a proxy of the environment
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=url, timeout=WAIT_SECONDS + 30, trust_env=not here, headers=headers)

    def __enter__(self) -> "Rightfit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def submit(self, spec: Json, key: str | None = None) -> Json:
        """Queue a job; returns it as accepted, with its id and effective spec. With a key (Idempotency-Key), the same
        request sent again returns the same job.
        """
        return self._json("POST", "/v1/jobs", json=spec, headers={"Idempotency-Key": key} if key else None)

    def job(self, job_id: str) -> Json:
        return self._json("GET", f"/v1/jobs/{job_id}")

    def changes(self, job_id: str) -> Iterator[Json]:
        """The job now, and again whenever it has changed, until it has ended."""
        job: Json | None = None
        headers: dict[str, str] = {}
        while job is None or not job["is_terminal"]:
            asked = time.monotonic()
            answer = self._call(
                "GET", f"/v1/jobs/{job_id}", params={"wait": WAIT_SECONDS if job else 0}, headers=headers
            )
            if answer.status_code == httpx.codes.OK:
                job, headers = answer.json(), {"If-None-Match": answer.headers["etag"]}
                yield job
            elif time.monotonic() - asked < PAUSE_SECONDS:  # unchanged, and told so at once: too many wait already
                time.sleep(PAUSE_SECONDS)

    def wait(self, job_id: str) -> Json:
        """The job once it has ended."""
        return list(self.changes(job_id))[-1]

    def cancel(self, job_id: str) -> Json:
        return self._json("POST", f"/v1/jobs/{job_id}/cancel")

    def pause(self, job_id: str) -> Json:
        return self._json("POST", f"/v1/jobs/{job_id}/pause")

    def resume(self, job_id: str) -> Json:
        return self._json("POST", f"/v1/jobs/{job_id}/resume")

    def retry(self, job_id: str) -> Json:
        return self._json("POST", f"/v1/jobs/{job_id}/retry")

    def history(self, job_id: str) -> Json:
        """`data`: the epochs in order; `best` and `last` of them."""
        return self._json("GET", f"/v1/jobs/{job_id}/history")

    def artifacts(self, job_id: str) -> list[Json]:
        manifest: list[Json] = self._json("GET", f"/v1/jobs/{job_id}/artifacts")["data"]
        return manifest

    def download(self, job_id: str, name: str, target: Path) -> str:
        """Fetch an artifact; returns its SHA-256. Raises ValueError where it is not the one of the manifest."""
        expected = next((entry["sha256"] for entry in self.artifacts(job_id) if entry["name"] == name), None)
        digest = hashlib.sha256()
        with self._http.stream("GET", f"/v1/jobs/{job_id}/artifacts/{name}") as answer:
            if answer.is_error:
                answer.read()
                raise ApiError(answer.json())
            with target.open("wb") as file:
                for block in answer.iter_bytes():
                    digest.update(block)
                    file.write(block)
        if digest.hexdigest() != expected:
            raise ValueError(f"{name} arrived with SHA-256 {digest.hexdigest()}, the manifest says {expected}")
        return digest.hexdigest()

    def _json(self, method: str, path: str, **kwargs: Any) -> Json:
        body: Json = self._call(method, path, **kwargs).json()
        return body

    def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        answer = self._http.request(method, path, **kwargs)
        if answer.is_error:
            raise ApiError(answer.json())
        return answer
