"""A client: `Rightfit(url).submit(spec)`, watch it, ask why its losses are what they are, fork it, download.

What is safe to repeat is repeated by itself, with pauses that grow, or those that the service asks for: every GET, and
a POST that carries an Idempotency-Key, as those of `submit` and `fork` do. Anything else is sent once.
"""

import codecs
import difflib
import hashlib
import importlib
import json
import os
import random
import re
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import httpx

DEFAULT_URL = "http://127.0.0.1:8000"
WAIT_SECONDS = 30.0  # of one long poll
PAUSE_SECONDS = 1.0  # between two polls that the service does not let wait
TRIES = 5  # of one request
BACKOFF_SECONDS, LONGEST_BACKOFF = 0.5, 15.0  # before the second try, doubled each time
LONGEST_RETRY_AFTER = 120.0  # seconds; whoever is asked to wait longer is told so instead
RECONNECT_SECONDS = 2.0  # to a stream that was cut, unless it says otherwise itself
LATER = (429, 502, 503, 504)  # "not now": the request was not carried out
RESUMABLE = 206
PAGE = 100  # the most that a list gives at once
MOST_LINES = 10_000  # that a job's log keeps
BLOCK = 1 << 18
MOST_WORDS, NEAREST = 12, 3  # that are allowed: told in full, else these
UNKNOWN = re.compile(r"'(.*)' is not known")
LINE_END = re.compile(rb"\r\n|\n|\r")

LOOPBACK = ("127.0.0.1", "::1", "localhost")
FORMATS = {
    ".zip": "application/zip", ".tar": "application/x-tar", ".tar.gz": "application/gzip", ".tgz": "application/gzip",
    ".npz": "application/x-npz",
}  # fmt: skip
LITTER = ("__MACOSX", "Thumbs.db")  # what systems leave in folders of pictures, beside hidden files

Json = dict[str, Any]
Progress = Callable[[int, int], None]  # bytes so far, bytes in all


class ApiError(Exception):
    """The service answered with a problem; `problem` is it, as sent."""

    def __init__(self, problem: Json) -> None:
        faults = "".join(f"\n  {_fault(fault)}" for fault in problem.get("errors", ()))
        told = faults or f" {problem.get('detail')}"  # which has the faults in a line
        super().__init__(f"{problem.get('status')} {problem.get('title')}:{told}")
        self.problem = problem

    @property
    def status(self) -> int:
        return int(self.problem.get("status", 0))


class Damaged(ValueError):
    """What was downloaded is not what the manifest describes."""


class NotRightfit(Exception):
    """What answers there is something else."""


class UnusableKey(ValueError):
    """the API key has other characters than printable ASCII"""

    def __init__(self) -> None:  # never with the key
        super().__init__(self.__doc__)


class Event(NamedTuple):
    """Something that happened to a job; after its id a stream can go on."""

    id: str
    type: str
    data: Json


class History(dict[str, Any]):
    """`data`: the epochs in order; `best` and `last` of them, None before there is one."""

    @property
    def epochs(self) -> list[Json]:
        return list(self["data"])

    @property
    def best(self) -> Json | None:
        best: Json | None = self["best"]
        return best

    @property
    def last(self) -> Json | None:
        last: Json | None = self["last"]
        return last

    def to_pandas(self) -> Any:
        """A DataFrame of one row an epoch. Raises ImportError where pandas is not installed."""
        return importlib.import_module("pandas").DataFrame(self["data"])


class Rightfit:
    """One service. Raises ApiError for what it refuses, httpx.TransportError where it cannot be reached and NotRightfit
    where something else answers.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        tries: int = TRIES,
        timeout: float = WAIT_SECONDS + 30,
        retrying: Callable[[int], None] = lambda _: None,
    ) -> None:
        """By default RIGHTFIT_URL, else this machine's port 8000, and RIGHTFIT_API_KEY, else no key.

        What is safe to repeat is sent up to `tries` times; `timeout` is in seconds, of silence. `retrying` is called
        with the number of each try that did not reach the service, before the next. Raises UnusableKey, a ValueError.
        """
        self._tries = tries
        self._retrying = retrying
        url = url or os.environ.get("RIGHTFIT_URL") or DEFAULT_URL
        api_key = api_key or os.environ.get("RIGHTFIT_API_KEY")
        here = httpx.URL(url).host in LOOPBACK  # never through a proxy of the environment
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=not here, headers=bearer(api_key))

    def __enter__(self) -> "Rightfit":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its connections."""
        self._http.close()

    def submit(self, spec: Json, key: str | None = None) -> Json:
        """Queue a job; returns it as accepted, with its id and effective spec. With a key of your own (visible ASCII)
        the same request sent again, by another program or on another day, returns the same job.
        """
        return self._json("POST", "/v1/jobs", json=spec, headers=_named(key))

    def plan(self, spec: Json) -> Json:
        """What the job would be and take: `spec`, `parameters`, `memory`, `warnings`. Nothing is queued."""
        return self._json("POST", "/v1/jobs", json=spec, params={"validate_only": True})

    def job(self, job_id: str) -> Json:
        return self._json("GET", _job(job_id))

    def jobs(self, status: Sequence[str] = (), label: Sequence[str] = (), limit: int = 20) -> list[Json]:
        """The newest jobs first; of these statuses, and with all these labels (`key=value`)."""
        return self._pages("/v1/jobs", limit, {"status": list(status), "label": list(label)})

    def changes(self, job_id: str) -> Iterator[Json]:
        """The job now, and again whenever it has changed, until it has ended."""
        job: Json | None = None
        headers: dict[str, str] = {}
        while job is None or not job["is_terminal"]:
            asked = monotonic()
            answer = self._call("GET", _job(job_id), params={"wait": WAIT_SECONDS if job else 0}, headers=headers)
            if answer.status_code == httpx.codes.OK:
                job, headers = document(answer), {"If-None-Match": answer.headers["etag"]}
                yield job
            elif monotonic() - asked < PAUSE_SECONDS:  # unchanged, and told so at once: too many wait already
                sleep(PAUSE_SECONDS)

    def wait(self, job_id: str) -> Json:
        """The job once it has ended."""
        return list(self.changes(job_id))[-1]

    def cancel(self, job_id: str) -> Json:
        return self._json("POST", _job(job_id, "cancel"))

    def pause(self, job_id: str) -> Json:
        return self._json("POST", _job(job_id, "pause"))

    def resume(self, job_id: str, gpus: int | None = None) -> Json:
        """Go on with a paused job, with so many GPUs from now on (None: as it was)."""
        return self._json("POST", _job(job_id, "resume"), params={} if gpus is None else {"gpus": gpus})

    def retry(self, job_id: str, gpus: int | None = None) -> Json:
        """Run a failed job again, with so many GPUs from now on (None: as it was)."""
        return self._json("POST", _job(job_id, "retry"), params={} if gpus is None else {"gpus": gpus})

    def delete(self, job_id: str) -> None:
        """Delete an ended job and everything it published."""
        self._call("DELETE", _job(job_id))

    def predict(self, job_id: str, pictures: Sequence[Path]) -> list[Json]:
        """What the job's best model says of each picture: `name`, `label`, `probability`, `probabilities`."""
        form = [("file", (path.name, path.read_bytes())) for path in pictures]
        found: list[Json] = self._json("POST", _job(job_id, "predict"), files=form)["data"]
        return found

    def history(self, job_id: str, after_epoch: int = 0) -> History:
        """The epochs, or those after a given one."""
        return History(self._json("GET", _job(job_id, "history"), params={"after_epoch": after_epoch}))

    def events(self, job_id: str, after: int = 0) -> list[Event]:
        """What has happened so far, after a given event."""
        found: list[Event] = []
        while True:
            page = self._json("GET", _job(job_id, "events"), params={"after": after, "limit": 1000})
            found += [Event(str(e["id"]), e["type"], {"at": e["at"], **e["data"]}) for e in page["data"]]
            if not page["has_more"]:
                return found
            after = page["data"][-1]["id"]

    def stream(self, job_id: str, after: str = "") -> Iterator[Event]:
        """What happens to a job, from its beginning or after an event's id, live until it has ended.

        A stream that is cut is taken up again where it was: nothing is missed and nothing is told twice.
        """
        messages = _Messages(after)
        while True:
            since = {"Last-Event-ID": messages.last_id} if messages.last_id else {}
            headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", **since}
            answer = self._open("GET", _job(job_id, "events"), headers=headers)
            try:
                for event in messages.read(answer.iter_raw()):
                    if event.type == "end":
                        return
                    yield event
            except httpx.TransportError:
                pass  # cut: come back, as after an end without a word
            finally:
                answer.close()
            sleep(messages.retry_seconds)

    def log(self, job_id: str, tail: int = 200) -> list[Json]:
        """The newest lines that the job's trainer has written, in order: `id`, `attempt`, `at`, `level`, `message`."""
        lines: list[Json] = self._json("GET", _job(job_id, "logs"), params={"tail": tail})["data"]
        return lines

    def follow_log(self, job_id: str, tail: int = 200) -> Iterator[Json]:
        """The newest lines of the job's log, then each that is written until the job has ended."""
        after = 0
        while True:
            page = self._json("GET", _job(job_id, "logs"), params={"tail": tail, "after": after})
            yield from page["data"]
            if page["is_terminal"]:
                return
            after, tail = page["data"][-1]["id"] if page["data"] else after, MOST_LINES
            sleep(PAUSE_SECONDS)

    def diagnose(self, job_id: str) -> Json:
        """Why the losses are what they are: `verdict`, `summary`, `evidence`, `advice`; live while the job trains."""
        return self._json("GET", _job(job_id, "diagnosis"))

    def fork(
        self, job_id: str, advice: str | None = None, patch: Sequence[Json] | None = None, key: str | None = None
    ) -> Json:
        """Queue a job with this one's spec, changed by an advice's id or by a JSON Patch (RFC 6902)."""
        change = {"advice": advice} if patch is None else {"patch": list(patch)}
        return self._json("POST", _job(job_id, "fork"), json=change, headers=_named(key))

    def compare(self, job_ids: Sequence[str]) -> Json:
        """What differs in the specs of two to eight jobs, and what it did; the others against the first."""
        return self._json("GET", "/v1/compare", params={"jobs": ",".join(job_ids)})

    def artifacts(self, job_id: str) -> list[Json]:
        manifest: list[Json] = self._json("GET", _job(job_id, "artifacts"))["data"]
        return manifest

    def download(self, job_id: str, name: str, target: Path, progress: Progress | None = None) -> str:
        """Fetch an artifact; returns its SHA-256. It grows as TARGET.part, from which a later call goes on, and gets
        its name once it is complete. Raises Damaged, a ValueError, where it is not the one of the manifest, and
        FileExistsError where one of the two is something else than a regular file.
        """
        target.parent.stat()  # a folder that is not there is told before anything is fetched
        part = target.with_name(f"{target.name}.part")
        for path in (target, part):
            if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
                raise FileExistsError(f"{path} is no regular file, and is left as it is")
        entry = next((e for e in self.artifacts(job_id) if e["name"] == name), {"bytes": 0, "sha256": ""})
        was_begun = part.exists()
        self._fetch(_job(job_id, "artifacts", name), part, entry, progress)
        if was_begun and sha256(part) != entry["sha256"]:  # the beginning was of something else
            part.unlink()
            self._fetch(_job(job_id, "artifacts", name), part, entry, progress)
        if (found := sha256(part)) != entry["sha256"]:
            part.unlink()
            raise Damaged(f"{name} arrived with SHA-256 {found}, the manifest says {entry['sha256']}")
        part.replace(target)
        return found

    def upload(self, path: Path, name: str | None = None, progress: Progress | None = None) -> Json:
        """Send a data set: a folder of one folder for each class, or a zip, tar, tar.gz or npz. Its pictures are read
        after that, see `dataset_ready`. Sent once: an upload that breaks off leaves nothing behind.
        """
        with _packed(path) as (file, kind):
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            headers = {"Content-Type": kind, "Content-Length": str(size)}
            params = {"name": name or path.resolve().name.removesuffix(_ending(path) or "")}
            blocks = _blocks(file, size, progress)
            return self._json("POST", "/v1/datasets", params=params, headers=headers, content=blocks)

    def dataset(self, dataset_id: str) -> Json:
        return self._json("GET", _dataset(dataset_id))

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a data set that no live job uses."""
        self._call("DELETE", _dataset(dataset_id))

    def datasets(self, limit: int = PAGE) -> list[Json]:
        """Your data sets, the newest first, then those that are built in."""
        return self._pages("/v1/datasets", limit, {})

    def dataset_ready(self, dataset_id: str) -> Json:
        """The data set once its pictures were read: `status` is then ready or failed."""
        pause = 0.1
        while (found := self.dataset(dataset_id))["status"] == "processing":
            sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS)
        return found

    def _pages(self, path: str, limit: int, params: Mapping[str, Any]) -> list[Json]:
        found: list[Json] = []
        cursor: Json = {}
        while True:
            page = self._json("GET", path, params={**params, "limit": min(limit - len(found), PAGE), **cursor})
            found += page["data"]
            if not page["has_more"] or len(found) >= limit:
                return found
            cursor = {"after": page["next_cursor"]}

    def _fetch(self, path: str, part: Path, entry: Json, progress: Progress | None) -> None:
        """Bring a file to its full length, from wherever it is; a connection that breaks off is made again."""
        for attempt in range(1, self._tries):
            try:
                self._go_on(path, part, entry, progress)
            except httpx.TransportError:
                sleep(_backoff(attempt))
            else:
                return
        self._go_on(path, part, entry, progress)

    def _go_on(self, path: str, part: Path, entry: Json, progress: Progress | None) -> None:
        done = part.stat().st_size if part.exists() else 0
        if 0 < done == entry["bytes"]:
            return
        # The tag is the digest: where the file is another one by now, all of it comes, not a piece of it.
        wanted = {"Range": f"bytes={done}-", "If-Range": f'"{entry["sha256"]}"'} if 0 < done < entry["bytes"] else {}
        answer = self._open("GET", path, headers={"Accept-Encoding": "identity", **wanted})
        try:
            goes_on = answer.status_code == RESUMABLE
            done = done if goes_on else 0
            with part.open("ab" if goes_on else "wb") as file:
                for block in answer.iter_raw():
                    done += file.write(block)
                    if progress:
                        progress(done, entry["bytes"])
        finally:
            answer.close()

    def _json(self, method: str, path: str, **kwargs: Any) -> Json:
        return document(self._call(method, path, **kwargs))

    def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return self._sent(self._http.build_request(method, path, **kwargs), stream=False)

    def _open(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """An answer whose body is still to be read; to be closed."""
        return self._sent(self._http.build_request(method, path, **kwargs), stream=True)

    def _sent(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        is_safe = request.method in ("GET", "HEAD") or "Idempotency-Key" in request.headers
        attempt = 0
        while True:
            attempt += 1
            may_repeat = is_safe and attempt < self._tries
            try:
                answer = self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                if not may_repeat or isinstance(error, httpx.UnsupportedProtocol):
                    raise
                self._retrying(attempt)
                sleep(_backoff(attempt))
                continue
            if not answer.is_error:
                return answer
            answer.read()
            answer.close()
            pause = _pause(answer, attempt)
            if not may_repeat or answer.status_code not in LATER or pause > LONGEST_RETRY_AFTER:
                raise ApiError(_problem(answer))
            sleep(pause)


def document(answer: httpx.Response) -> Json:
    """What was answered. Raises NotRightfit for anything but JSON."""
    try:
        body: Json = answer.json()
    except ValueError:
        kind = answer.headers.get("content-type", "something")
        raise NotRightfit(f"{answer.url} is no Rightfit: it answers with {kind}, not with JSON") from None
    return body


def bearer(key: str | None) -> dict[str, str]:
    """The header that says who asks; a key from a file has a line's end, which is no part of it."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UnusableKey
    return {"Authorization": f"Bearer {key}"} if key else {}


def sha256(path: Path) -> str:
    """The digest of a file, as manifests tell it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Messages:
    """Server-sent events as the HTML standard reads them (section 9.2.6), over as many connections as it takes."""

    def __init__(self, last_id: str) -> None:
        self.last_id = last_id  # of the last whole event
        self.retry_seconds = RECONNECT_SECONDS

    def read(self, blocks: Iterable[bytes]) -> Iterator[Event]:
        """The events of one connection; one that it breaks off in is none."""
        data: list[str] = []
        kind, event_id = "", self.last_id
        for line in _lines(blocks):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                self.last_id = event_id
                if data:
                    yield Event(event_id, kind or "message", _parsed("\n".join(data)))
                data, kind = [], ""
            elif name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                event_id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                self.retry_seconds = int(value) / 1000


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Lines that end with CR LF, LF or CR, and with nothing else that Unicode knows; a rest without an end is none."""
    rest, after_cr, is_first = b"", False, True
    for block in blocks:
        new = block[1:] if after_cr and block.startswith(b"\n") else block
        after_cr = block.endswith(b"\r")
        *whole, rest = LINE_END.split(rest + new)
        for line in whole:
            yield (line.removeprefix(codecs.BOM_UTF8) if is_first else line).decode(errors="replace")
            is_first = False


def _parsed(text: str) -> Json:
    data: Json = json.loads(text)
    return data


def _named(key: str | None) -> dict[str, str]:
    """The header that lets a request be sent twice and be carried out once."""
    return {"Idempotency-Key": key or uuid4().hex}


def _job(job_id: str, *rest: str) -> str:
    return "/".join(["/v1/jobs", *(quote(part, safe="") for part in (job_id, *rest))])


def _dataset(dataset_id: str) -> str:
    return f"/v1/datasets/{quote(dataset_id, safe='')}"


def _backoff(attempt: int) -> float:
    """Seconds, at random so that many clients do not come back together."""
    most = min(BACKOFF_SECONDS * 2 ** (attempt - 1), LONGEST_BACKOFF)
    return random.uniform(most / 2, most)  # noqa: S311 - no secret


def _pause(answer: httpx.Response, attempt: int) -> float:
    """As Retry-After says, in seconds or as a date (RFC 9110, section 10.2.3), else as we please."""
    wanted = answer.headers.get("retry-after", "")
    if wanted.isascii() and wanted.isdigit():
        return float(wanted)
    try:
        date = parsedate_to_datetime(wanted)
    except ValueError:
        return _backoff(attempt)
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _problem(answer: httpx.Response) -> Json:
    """The problem that was sent, or one made of what else came, from a proxy for example."""
    fallback = {"status": answer.status_code, "title": answer.reason_phrase, "detail": answer.text[:500]}
    try:
        body = answer.json()
    except ValueError:
        return fallback
    return body if isinstance(body, dict) and isinstance(body.get("status"), int) else fallback


def _fault(fault: Json) -> str:
    allowed = f" (allowed: {_shortened(fault)})" if fault.get("allowed") else ""
    return f"{fault['pointer'] or '/'}: {fault['detail']}{allowed}"


def _shortened(fault: Json) -> str:
    """What is allowed; of many words the nearest to what was said."""
    allowed: str = fault["allowed"]
    words = allowed.removeprefix("only ").split(", ")
    said = UNKNOWN.match(fault["detail"])
    if len(words) <= MOST_WORDS or not said:
        return allowed
    near = difflib.get_close_matches(said[1], words, n=NEAREST, cutoff=0)
    return f"{', '.join(near)} and {len(words) - len(near)} more: /docs/reference"


def _blocks(file: BinaryIO, size: int, progress: Progress | None) -> Iterator[bytes]:
    sent = 0
    while block := file.read(BLOCK):
        yield block
        sent += len(block)
        if progress:
            progress(sent, size)


def _ending(path: Path) -> str | None:
    return next((ending for ending in FORMATS if path.name.lower().endswith(ending)), None)


@contextmanager
def _packed(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """The file to send, with its media type: a folder as a zip that is gone after the block."""
    if path.is_dir():
        with tempfile.TemporaryFile() as file:
            _zip(path, file)
            yield file, FORMATS[".zip"]
        return
    ending = _ending(path)
    if ending is None:
        raise ValueError(f"{path}: a data set is a folder of class folders, or a file {', '.join(FORMATS)}")
    with path.open("rb") as file:
        yield file, FORMATS[ending]


def _zip(folder: Path, target: BinaryIO) -> None:
    """Stored, not deflated: pictures are compressed already."""
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if path.is_file() and not any(part.startswith(".") or part in LITTER for part in parts):
                archive.write(path, "/".join(parts))
                count += 1
    if count == 0:
        raise ValueError(f"{folder}: there are no files in it; a data set is a folder of one folder for each class")
