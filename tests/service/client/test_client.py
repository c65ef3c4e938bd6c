"""The client against the real app, over a network that fails."""

import io
import math
import random
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.client import ApiError, Damaged, Event, History, NotRightfit, Rightfit, events, rightfit, transport
from service.client.sse import EventReader
from service.core.records.lease import Lease
from tests.pictures import folders, tarred, zipped
from tests.service.api.requests import SPEC
from tests.service.live import Live
from tests.service.worker_steps import claim, epoch, finish, read_datasets

CONTENT = random.Random(1).randbytes(300_000)
NAME = "best_model.pth"


@pytest.fixture
def client(live: Live) -> Iterator[Rightfit]:
    with Rightfit(live.url) as client:
        yield client


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the client asked for; it does not sleep."""
    slept: list[float] = []
    monkeypatch.setattr(transport, "sleep", slept.append)
    monkeypatch.setattr(rightfit, "sleep", slept.append)
    monkeypatch.setattr(events, "sleep", slept.append)
    return slept


def train_job(live: Live, client: Rightfit, tmp_path: Path, epochs: int = 3) -> Lease:
    """An ended job whose best model is CONTENT."""
    client.submit(SPEC)
    lease = claim(live.parts)
    live.parts.store.leases.append(lease, [epoch(n, 1 / n, improved=True) for n in range(1, epochs + 1)])
    finish(live.parts, lease, tmp_path, CONTENT)
    return lease


def test_safe_requests_are_repeated_after_the_requested_pause(
    live: Live, client: Rightfit, pauses: list[float]
) -> None:
    job = client.submit(SPEC)["id"]
    live.network.refuse(job, "503 Service Unavailable", Retry_After="7")
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    live.network.refuse(job, "429 Too Many Requests", Retry_After=date)
    live.network.refuse(job, "502 Bad Gateway")
    live.network.cut(job, 0)
    assert client.job(job)["id"] == job
    assert pauses[0] == 7
    assert 25 < pauses[1] <= 30
    assert 1.0 <= pauses[2] <= 2.0, "half a second, doubled with each try, with jitter"
    assert 2.0 <= pauses[3] <= 4.0


def test_tries_are_limited_and_a_long_pause_is_an_error(live: Live, client: Rightfit, pauses: list[float]) -> None:
    live.network.refuse("/v1/jobs", "503 Service Unavailable", times=transport.TRIES)
    with pytest.raises(ApiError, match="503"):
        client.jobs()
    assert len(pauses) == transport.TRIES - 1
    live.network.refuse("/v1/jobs", "429 Too Many Requests", Retry_After="3600")
    with pytest.raises(ApiError) as caught:
        client.jobs()
    assert caught.value.status == 429
    assert len(pauses) == transport.TRIES - 1


def test_the_pauses_between_all_tries_have_a_limit(live: Live, pauses: list[float]) -> None:
    live.network.refuse("/v1/jobs", "503 Service Unavailable", times=12, Retry_After="100")
    with Rightfit(live.url, tries=12) as client, pytest.raises(ApiError, match="503"):
        client.jobs()
    assert pauses == [100] * 6


def test_a_submission_without_a_response_is_queued_once(live: Live, client: Rightfit) -> None:
    live.network.cut("/v1/jobs", 0)
    job = client.submit(SPEC)
    assert [each["id"] for each in client.jobs()] == [job["id"]]
    live.network.cut("/fork", 0)
    forked = client.fork(job["id"], patch=[{"op": "replace", "path": "/epochs", "value": 4}])
    assert [each["id"] for each in client.jobs()] == [forked["id"], job["id"]]
    assert client.submit(SPEC, key="mine")["id"] == client.submit(SPEC, key="mine")["id"]
    posted = [request.headers["idempotency-key"] for request in live.network.seen if request.method == "POST"]
    assert posted[0] == posted[1] != posted[2] == posted[3]


def test_unsafe_requests_are_sent_once(live: Live, client: Rightfit, tmp_path: Path) -> None:
    job = client.submit(SPEC)["id"]
    live.network.cut("/cancel", 0)
    with pytest.raises(httpx.TransportError):
        client.cancel(job)
    assert len(live.network.of("/cancel")) == 1
    (tmp_path / "pets.zip").write_bytes(zipped(folders(each=2)))
    live.network.refuse("/v1/datasets", "503 Service Unavailable")
    with pytest.raises(ApiError, match="503"):
        client.upload(tmp_path / "pets.zip")
    assert len(live.network.of("/v1/datasets")) == 1


def test_a_refusal_lists_every_fault_and_the_allowed_values(client: Rightfit) -> None:
    with pytest.raises(ApiError, match=r"/epochs: .*allowed: a whole number, 1 to") as caught:
        client.submit(SPEC | {"epochs": 0, "optimizer": {"lr": -1}})
    assert "/optimizer/lr" in str(caught.value)
    assert caught.value.status == 422


def test_the_text_of_a_proxy_is_in_the_error(live: Live, client: Rightfit) -> None:
    live.network.refuse("/v1/jobs", "500 Oops", b"<html>no upstream</html>")
    with pytest.raises(ApiError, match=r"500 .*no upstream"):
        client.jobs()


def test_the_environment_names_the_service_and_the_key(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHTFIT_URL", live.url)
    monkeypatch.setenv("RIGHTFIT_API_KEY", "rf_key")
    with Rightfit() as client:
        assert client.jobs() == []
    assert live.network.seen[-1].headers["authorization"] == "Bearer rf_key"


def test_a_list_is_read_page_by_page(client: Rightfit, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [client.submit(SPEC | {"labels": {"n": str(n)}})["id"] for n in range(5)]
    monkeypatch.setattr(transport, "PAGE", 2)
    assert [job["id"] for job in client.jobs(limit=3)] == ids[:1:-1]
    assert [job["id"] for job in client.jobs(limit=10)] == ids[::-1]
    assert [job["id"] for job in client.jobs(label=["n=1"])] == [ids[1]]
    assert client.jobs(status=["running", "failed"]) == []


def test_a_history_becomes_a_data_frame(live: Live, client: Rightfit, tmp_path: Path) -> None:
    history = client.history(train_job(live, client, tmp_path).job_id)
    frame = history.to_pandas()
    assert list(frame["epoch"]) == [1, 2, 3]
    assert frame["val_loss"].min() == history.best["val_loss"]  # type: ignore[index]  # there is one
    assert (history.last, len(history.epochs)) == (history["last"], 3)
    assert History(data=[], best=None, last=None).to_pandas().empty


def test_a_broken_stream_continues_after_its_last_event(
    live: Live, client: Rightfit, tmp_path: Path, pauses: list[float]
) -> None:
    job = train_job(live, client, tmp_path).job_id
    expected = client.events(job)
    for after in (250, 400, 0):
        live.network.cut("/events", after)
    streamed = list(client.stream(job))
    assert streamed == expected
    assert [event.type for event in streamed][:3] == ["status", "status", "epoch"]
    asked = [request.headers.get("last-event-id") for request in live.network.of("/events")[1:]]
    assert asked[0] is None
    assert len(asked) == 4
    assert any(asked[1:]), "it continued after an event"
    assert 2.0 in pauses, "the pause that the service asks for"
    assert list(client.stream(job, after=streamed[-2].id)) == [streamed[-1]]


BODY = (
    b'\xef\xbb\xbf: hello\n\nretry: 2500\nretry: x\nid: 1\nevent: epoch\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    b'id:2\rdata:{"b":"\\u2028\xe2\x80\xa8\xc2\x85"}\r\rid: 9\x000\nevent: last\ndata: {}\n\n'
    b"id: 3\nevent: half\ndata: {}\n"
)
EVENTS = [Event("1", "epoch", {"a": 1}), Event("2", "message", {"b": "\u2028\u2028\x85"}), Event("2", "last", {})]


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_events_are_read_however_their_bytes_are_split(cuts: list[int]) -> None:
    reader = EventReader("")
    blocks = [BODY[i:j] for i, j in pairwise([0, *sorted(cuts), len(BODY)]) if i < j]
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=iter(blocks))
    assert list(reader.read(response)) == EVENTS
    assert (reader.last_id, reader.retry_seconds) == ("2", 2.5)


def test_a_page_instead_of_a_stream_is_an_error(live: Live, client: Rightfit) -> None:
    live.network.refuse("/events", "200 OK", b"<html>", Content_Type="text/html")
    with pytest.raises(NotRightfit, match="text/html"):
        next(client.stream("job_1"))


def test_a_broken_download_continues_and_is_verified(live: Live, client: Rightfit, tmp_path: Path) -> None:
    job = train_job(live, client, tmp_path).job_id
    live.network.cut(NAME, 100_000)
    live.network.cut(NAME, 50_000)
    steps: list[tuple[int, int]] = []
    digest = client.download(job, NAME, tmp_path / "model.pth", lambda done, total: steps.append((done, total)))
    assert (tmp_path / "model.pth").read_bytes() == CONTENT
    assert not (tmp_path / "model.pth.part").exists()
    ranges = [request.headers.get("range") for request in live.network.of(NAME)]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert {request.headers.get("if-range") for request in live.network.of(NAME)[1:]} == {f'"{digest}"'}
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert steps == sorted(steps)


def test_a_part_is_continued_or_replaced_if_it_is_wrong(live: Live, client: Rightfit, tmp_path: Path) -> None:
    job = train_job(live, client, tmp_path).job_id
    target, part = tmp_path / "model.pth", tmp_path / "model.pth.part"
    for begun in (CONTENT[:1000], b"other" * 1000, CONTENT, CONTENT + b"more", b""):
        part.write_bytes(begun)
        client.download(job, NAME, target)
        assert target.read_bytes() == CONTENT
        assert not part.exists()
    assert live.network.of(NAME)[0].headers["range"] == "bytes=1000-"


def test_a_damaged_file_is_not_kept(live: Live, client: Rightfit, tmp_path: Path) -> None:
    job = train_job(live, client, tmp_path).job_id
    live.network.refuse(NAME, "200 OK", b"something else")
    with pytest.raises(Damaged, match="the manifest says"):
        client.download(job, NAME, tmp_path / "model.pth")
    assert not list(tmp_path.glob("model.pth*"))
    with pytest.raises(ApiError, match="404"):
        client.download(job, "nothing.bin", tmp_path / "nothing.bin")
    assert not list(tmp_path.glob("nothing*"))


def test_an_export_is_complete_or_absent(live: Live, client: Rightfit, tmp_path: Path) -> None:
    job = train_job(live, client, tmp_path).job_id
    target = tmp_path / "job.zip"
    (tmp_path / "job.zip.part").write_bytes(b"begun")
    live.network.cut("/export", 100_000)
    steps: list[tuple[int, int]] = []
    client.export(job, target, lambda done, total: steps.append((done, total)))
    with zipfile.ZipFile(target) as archive:
        assert archive.read(NAME) == CONTENT
        assert "README.txt" in archive.namelist()
    assert steps[-1] == (target.stat().st_size, target.stat().st_size)
    assert len(live.network.of("/export")) == 2
    live.network.cut("/export", 1000, times=transport.TRIES)
    before = target.read_bytes()
    with pytest.raises(httpx.TransportError):
        client.export(job, target)
    assert target.read_bytes() == before
    with pytest.raises(ApiError, match="404"):
        client.export("job_none", tmp_path / "none.zip")
    assert not list(tmp_path.glob("none*"))


def test_an_ensemble_is_written_to_a_file_in_blocks(live: Live, client: Rightfit, tmp_path: Path) -> None:
    content, target = b"models" * 100_000, tmp_path / "ensemble.zip"
    live.network.refuse("/ensemble.zip", "200 OK", content, Content_Length=str(len(content)))
    steps: list[int] = []
    client.fits.ensemble("fit_1", target, lambda done, total: steps.append(done))
    assert target.read_bytes() == content
    assert len(steps) > 1
    assert steps[-1] == len(content)
    with pytest.raises(ApiError, match="404"):
        client.fits.ensemble("fit_1", tmp_path / "none.zip")
    assert not list(tmp_path.glob("none*"))


def test_a_folder_is_sent_as_a_zip_without_hidden_files(live: Live, client: Rightfit, tmp_path: Path) -> None:
    for name, data in (folders(each=2) | {".git/config": b"x", "rows/.DS_Store": b"x"}).items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(data)
    steps: list[tuple[int, int]] = []
    with pytest.warns(UserWarning, match="left out 2 hidden"):
        sent = client.upload(tmp_path / "pets", progress=lambda done, total: steps.append((done, total)))
    assert (sent["name"], sent["status"]) == ("pets", "processing")
    assert steps[-1] == (sent["bytes"], sent["bytes"])
    with live.parts.storage.open(f"datasets/{sent['id']}/upload") as stored:
        archive = zipfile.ZipFile(io.BytesIO(stored.read()))
    assert set(archive.namelist()) == set(folders(each=2))
    assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    assert client.datasets()[0] == client.dataset(sent["id"]) == sent


def test_a_label_file_is_sent_beside_the_data_set(live: Live, client: Rightfit, tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "big.png").write_bytes(random.Random(1).randbytes(300_000))
    (tmp_path / "mäuse.CSV").write_text("file_name,label\n")
    steps: list[tuple[int, int]] = []
    sent = client.upload(
        tmp_path / "pets",
        progress=lambda done, total: steps.append((done, total)),
        labels=tmp_path / "mäuse.CSV",
        skip_broken=True,
        background="mean",
    )
    assert (sent["name"], sent["options"]) == ("pets", {"skip_broken": True, "background": "mean"})
    assert len(steps) > 2
    assert steps[-1] == (sent["bytes"], sent["bytes"])
    with live.parts.storage.open(f"datasets/{sent['id']}/labels.csv") as stored:
        assert stored.read() == b"file_name,label\n"
    with live.parts.storage.open(f"datasets/{sent['id']}/upload") as stored:
        assert zipfile.ZipFile(io.BytesIO(stored.read())).testzip() is None


def test_another_label_file_is_refused_before_it_is_sent(live: Live, client: Rightfit, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(zipped(folders(each=2)))
    with pytest.raises(ValueError, match=r"labels\.xlsx: a label file is a file \.csv, .*\.ndjson"):
        client.upload(tmp_path / "pets.zip", labels=tmp_path / "labels.xlsx")
    with pytest.raises(FileNotFoundError):
        client.upload(tmp_path / "pets.zip", labels=tmp_path / "labels.csv")
    assert live.network.seen == []


def test_an_archive_is_sent_as_it_is(live: Live, client: Rightfit, tmp_path: Path) -> None:
    (tmp_path / "pets.tar.gz").write_bytes(tarred(folders(each=2)))
    sent = client.upload(tmp_path / "pets.tar.gz", name="animals")
    assert sent["name"] == "animals"
    assert client.upload(tmp_path / "pets.tar.gz")["name"] == "pets"
    with live.parts.storage.open(f"datasets/{sent['id']}/upload") as stored:
        assert stored.read() == (tmp_path / "pets.tar.gz").read_bytes()
    for path, words in ((tmp_path / "a.rar", "tar.gz"), (tmp_path / "empty", "no files")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ValueError, match=words):
            client.upload(path)


def test_an_image_of_a_data_set_is_downloaded(live: Live, client: Rightfit, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(zipped(folders(each=2)))
    dataset = client.upload(path)["id"]
    read_datasets(live.parts)
    image = Image.open(io.BytesIO(client.dataset_image(dataset, 5, size=32)))
    assert (image.format, image.size) == ("PNG", (32, 32))
    with pytest.raises(ApiError, match="6 images"):
        client.dataset_image(dataset, 6)


def test_histories_from_elsewhere_are_diagnosed(client: Rightfit, tmp_path: Path) -> None:
    epochs = [{"train_loss": 1 / n, "val_loss": 1 / n} for n in range(1, 9)]
    path = tmp_path / "history.csv"
    path.write_text("n;fit;valid\n" + "\n".join(f"{n};{1 / n};{1 / n}" for n in range(1, 9)))
    columns = {"epoch": "n", "train_loss": "fit", "val_loss": "valid"}
    of_list = client.diagnose_history(epochs, classes=2, label_counts=[3, 4], spec={"epochs": 8})
    of_file = client.diagnose_history(path, label_counts=[3, 4], columns=columns)
    assert of_file == client.diagnose_history(path.read_bytes(), label_counts=[3, 4], columns=columns)
    assert of_file["verdict"] == of_list["verdict"]
    assert "spec" not in {one["what"] for one in of_list["missing"]}
    diverged = client.diagnose_history([*epochs, {"train_loss": math.nan, "val_loss": math.inf}])
    assert diverged["verdict"] == "diverged"
    with pytest.raises(ValueError, match="spec needs"):
        client.diagnose_history(path, spec={})
    with pytest.raises(ApiError, match=r"allowed|columns"):
        client.diagnose_history(path)
