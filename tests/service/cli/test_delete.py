"""`rm`, `data rm` and `data show`, `files` and `predict`."""

from pathlib import Path

import httpx
import pytest

from tests.pictures import folders, zipped
from tests.service.cli.commands import Command, document, train_next_job
from tests.service.live import Live
from tests.service.worker_steps import claim, finish


def test_ended_jobs_are_deleted_after_a_confirmation(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    assert (rightfit("rm", job, "--yes").exit_code, rightfit("show", job).exit_code) == (3, 0)
    train_next_job(live, tmp_path)
    assert rightfit("rm", job, stdin="n\n").exit_code == 1
    assert rightfit("show", job).exit_code == 0
    assert f"deleted {job}" in rightfit("rm", job, stdin="y\n").stdout
    assert rightfit("show", job).exit_code == 3


def test_a_data_set_is_shown_and_deleted(rightfit: Command, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(zipped(folders(each=2)))
    pushed = document(rightfit("data", "push", str(tmp_path / "pets.zip"), "--json"))
    assert document(rightfit("data", "show", pushed["id"], "--json")) == pushed
    assert "1797 images" in rightfit("data", "show", "digits").stdout
    assert document(rightfit("data", "rm", pushed["id"], "--yes", "--json")) == {"deleted": [pushed["id"]]}
    assert rightfit("data", "show", pushed["id"]).exit_code == 3


def test_files_are_listed_and_prediction_needs_a_model(
    rightfit: Command, spec: str, live: Live, tmp_path: Path
) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    assert rightfit("files", job).stdout == "no files yet\n"
    train_next_job(live, tmp_path)
    assert "best_model.pth" in rightfit("files", job).stdout
    assert document(rightfit("files", job, "--json"))["data"][0]["name"] == "best_model.pth"
    (tmp_path / "cat.png").write_bytes(b"x")
    refused = rightfit("predict", job, str(tmp_path / "cat.png"))
    assert (refused.exit_code, "409" in refused.stderr) == (3, True)


@pytest.mark.parametrize(("count", "size"), [(7, "7 B"), (300_000, "293.0 KiB"), (3 << 20, "3.0 MiB")])
def test_the_command_and_the_page_write_the_same_size(
    rightfit: Command, spec: str, live: Live, tmp_path: Path, count: int, size: str
) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    finish(live.parts, claim(live.parts), tmp_path, bytes(count))
    assert f" {size} " in rightfit("files", job).stdout
    assert f">{size}<" in httpx.get(f"{live.url}/jobs/{job}").text


def test_each_image_gets_a_prediction(rightfit: Command, live: Live, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"picture")
    answer = b'{"data": [{"name": "cat.png", "label": "cat", "probability": 0.875, "probabilities": {"cat": 0.875}}]}'
    live.network.refuse("/predict", "200 OK", answer, Content_Type="application/json")
    output = rightfit("predict", "job_1", str(tmp_path / "cat.png")).stdout
    assert output.split()[-3:] == ["cat.png", "cat", "87.5%"]
    assert live.network.seen[-1].method == "POST"
