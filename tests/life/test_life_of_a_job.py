"""Whole jobs over real HTTP, with a real Redis, a real worker and the digits data set."""

import hashlib
import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import torch
from sklearn.datasets import load_digits

from service.client import ApiError, Rightfit
from tests.conftest import Serving
from tests.pictures import encoded
from tests.ports import PATIENCE_SECONDS, eventually
from tests.servers import EVERYTHING_PUBLISHED

SPEC: dict[str, Any] = {
    "dataset": {"id": "digits"},
    "model": {"arch": "cnn", "channels": [8, 16], "hidden": [32]},
    "seed": 7,
    "epochs": 3,
    "optimizer": {"lr": 5e-3},
}
MEGABYTE = 1 << 20


@pytest.fixture
def client(serving: Serving) -> Rightfit:
    return Rightfit(serving.url)


def test_model_is_trained_and_downloaded(client: Rightfit, tmp_path: Path) -> None:
    with client:
        job = client.submit(SPEC | {"labels": {"suite": "life"}})
        seen = list(client.changes(job["id"]))
        ended = seen[-1]
        history = client.history(job["id"])
        sums = {
            a["name"]: client.download(job["id"], a["name"], tmp_path / a["name"]) for a in client.artifacts(job["id"])
        }
    assert (ended["status"], ended["stop_reason"], ended["attempt"]) == ("succeeded", "max_epochs", 1)
    assert [t["status"] for t in ended["transitions"]] == ["queued", "running", "succeeded"]
    assert len(seen) >= 3, "the client sees changes while the job runs"
    assert [row["epoch"] for row in history["data"]] == [1, 2, 3]
    assert history["best"] == min(history["data"], key=lambda row: row["val_loss"]) == ended["best"]
    assert history["data"][-1]["val_accuracy"] > 0.7
    assert set(sums) == EVERYTHING_PUBLISHED
    weights = torch.load(tmp_path / "best_model.pth", weights_only=True)
    assert sum(tensor.numel() for tensor in weights.values()) == 3_658
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["spec"] == ended["spec"]
    assert report["best"]["val_loss"] == history["best"]["val_loss"]
    split = json.loads((tmp_path / "split.json").read_text())
    assert sorted(split["train"] + split["validation"]) == list(range(1797))
    digest = hashlib.sha256(torch.tensor(split["train"]).numpy().tobytes()).hexdigest()
    assert report["data"]["split"]["train"] == {"images": len(split["train"]), "sha256": digest}


def test_job_too_large_for_the_worker_blocks_no_other(client: Rightfit) -> None:
    with client:
        large = client.submit(SPEC | {"gpus": 64, "priority": 9})
        assert "no live worker is large enough; the largest has" in large["queue"]["shortfall"]
        *_, ended = client.changes(client.submit(SPEC | {"seed": 9, "epochs": 1})["id"])
        assert ended["status"] == "succeeded"
        assert client.job(large["id"])["status"] == "queued"
        assert client.cancel(large["id"])["status"] == "cancelled"


def test_trained_model_predicts_classes_of_images(serving: Serving, client: Rightfit) -> None:
    with client:
        job = client.submit(SPEC | {"seed": 8})
        for _ in client.changes(job["id"]):
            pass
    pixels, labels = load_digits(return_X_y=True)
    pictures = (pixels[:100].reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    files = [("file", (f"{i}.png", encoded(picture), "image/png")) for i, picture in enumerate(pictures)]
    answer = httpx.post(
        f"{serving.url}/v1/jobs/{job['id']}/predict", files=files, timeout=PATIENCE_SECONDS
    ).raise_for_status()
    said = [prediction["label"] for prediction in answer.json()["data"]]
    right = sum(word == str(label) for word, label in zip(said, labels[:100], strict=True))
    assert right > 70


def test_test_part_is_scored_at_the_best_epoch(client: Rightfit, tmp_path: Path) -> None:
    with client:
        job = client.wait(client.submit(SPEC | {"dataset": {"id": "digits", "test_fraction": 0.2}})["id"])
        client.download(job["id"], "report.json", tmp_path / "report.json")
    test = json.loads((tmp_path / "report.json").read_text())["test"]
    assert test["accuracy"] > 0.7
    assert test["loss"] > 0


def test_same_spec_gives_same_history_and_same_model(client: Rightfit, tmp_path: Path) -> None:
    given = SPEC | {"regularization": {"dropout": 0.3, "weight_decay": 1e-4, "l1": 1e-6}}
    curves, weights = [], []
    with client:
        for n in range(2):
            job = client.wait(client.submit(given)["id"])
            curves.append([(row["train_loss"], row["val_loss"]) for row in client.history(job["id"])["data"]])
            client.download(job["id"], "best_model.pth", tmp_path / str(n))
            weights.append(torch.load(io.BytesIO((tmp_path / str(n)).read_bytes()), weights_only=True))
    assert curves[0] == curves[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_concurrent_jobs_are_each_trained_once(client: Rightfit) -> None:
    def submit(n: int) -> str:
        with Rightfit(client.url) as own:
            job: str = own.submit(SPEC | {"epochs": 1, "labels": {"burst": "yes"}, "seed": n})["id"]
            return job

    with client, ThreadPoolExecutor(10) as pool:
        ids = list(pool.map(submit, range(10)))
        assert len(set(ids)) == 10
        for job_id in ids:
            job = client.wait(job_id)
            assert (job["status"], job["attempt"]) == ("succeeded", 1)
            assert [t["status"] for t in job["transitions"]] == ["queued", "running", "succeeded"]


def test_next_job_starts_after_a_running_one_is_cancelled(client: Rightfit) -> None:
    with client:
        endless = client.submit(SPEC | {"epochs": 100_000, "early_stopping": None})["id"]
        waiting = client.submit(SPEC | {"epochs": 1})["id"]
        assert eventually(lambda: client.job(endless)["progress"]["epoch"] >= 2)
        assert client.job(waiting)["queue"]["jobs_ahead"] == 0
        client.cancel(endless)
        ended = client.wait(endless)
        assert (ended["status"], ended["stop_reason"]) == ("cancelled", "cancelled")
        assert ended["best"] is not None
        assert "best_model.pth" in {a["name"] for a in client.artifacts(endless)}
        assert client.wait(waiting)["status"] == "succeeded"


@pytest.mark.long
def test_warm_worker_starts_faster_than_torch_is_imported(client: Rightfit) -> None:
    """Forking a warm process costs much less than importing torch; both are measured in one run."""
    with client:
        client.wait(client.submit(SPEC | {"epochs": 1})["id"])
        times = []
        for _ in range(3):
            posted = time.monotonic()
            job = client.submit(SPEC | {"epochs": 1})
            for seen in client.changes(job["id"]):
                if seen["last"]:  # the end of the first epoch, less its duration
                    times.append(time.monotonic() - posted - seen["last"]["seconds"])
                    break
            client.wait(job["id"])
    started = time.monotonic()
    psutil.Popen([*_python(), "-c", "import torch, torch._dynamo"]).wait()
    assert min(times) < (time.monotonic() - started) / 2


def _python() -> list[str]:
    return psutil.Process().cmdline()[:1]


def test_api_stays_small_and_without_torch(serving: Serving, client: Rightfit) -> None:
    with client:
        client.wait(client.submit(SPEC | {"epochs": 1})["id"])
    api = [process for process in serving.descendants() if "gunicorn" in " ".join(process.cmdline())]
    assert len(api) == 2, "gunicorn's master and its one process"
    for process in api:
        assert process.memory_info().rss < 300 * MEGABYTE  # with what predictions and pictures need
        assert not [m for m in process.memory_maps() if "libtorch" in m.path]


def test_client_raises_what_the_service_refuses(client: Rightfit, tmp_path: Path) -> None:
    with client:
        with pytest.raises(ApiError, match="/epochs") as caught:
            client.submit(SPEC | {"epochs": 0})
        assert caught.value.problem["status"] == 422
        job = client.wait(client.submit(SPEC | {"epochs": 1})["id"])
        with pytest.raises(ApiError, match="404"):
            client.download(job["id"], "nothing.bin", tmp_path / "nothing.bin")


def raw(url: str, request: bytes) -> bytes:
    """Send these bytes; returns the whole answer."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
        return answer


def test_chunked_body_is_bounded_and_checked(serving: Serving) -> None:
    head = (
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    spec = b'{"dataset": {"id": "nothing"}}'
    whole = b"%x\r\n%s\r\n0\r\n\r\n"
    assert b" 422 " in raw(serving.url, head + whole % (len(spec), spec))
    long = spec + b" " * (2 << 20) + b"junk"
    assert b" 413 " in raw(serving.url, head + whole % (len(long), long))[:100]
    malformed = raw(serving.url, head + b"zz\r\nabc\r\n0\r\n\r\n")
    assert b" 400 " in malformed[:100]
    assert b"application/problem+json" in malformed


def test_kept_connection_is_answered_without_delay(client: Rightfit) -> None:
    """Nagle's algorithm with delayed ACKs would add 40 ms to each answer on a kept connection alone."""
    with client, httpx.Client(trust_env=False) as one_connection:
        job = client.wait(client.submit(SPEC | {"epochs": 1})["id"])
        url = f"{client.url}/v1/jobs/{job['id']}"

        def fastest(get: Any) -> float:
            times = []
            for _ in range(15):
                started = time.monotonic()
                assert get(url).status_code == 200
                times.append(time.monotonic() - started)
            return min(times)  # a busy machine delays some answers, a delayed ACK all of them

        assert fastest(one_connection.get) < fastest(httpx.get) + 0.02
