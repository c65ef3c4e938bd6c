"""The commands `evaluate` and `calibrate`."""

import csv
import io
from pathlib import Path

import pytest

from tests.service.api.runs import FACTS
from tests.service.cli.commands import Command, document, train_next_job
from tests.service.drawn import drawn
from tests.service.live import Live
from tests.service.worker_steps import claim, finish


@pytest.fixture
def job_id(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> str:
    rightfit("train", spec)
    return train_next_job(live, tmp_path, predictions=drawn(200, 10, 3.0)).job_id


def test_evaluation_is_shown_as_text_and_json(rightfit: Command, job_id: str) -> None:
    text = rightfit("evaluate", job_id, "--mistakes", "2")
    assert text.exit_code == 0
    assert "200 validation images" in text.stdout
    assert "rows: label, columns: prediction" in text.stdout
    whole = document(rightfit("evaluate", job_id, "--json", "--part", "validation"))
    assert (whole["images"], len(whole["mistakes"])) == (200, 5)
    assert document(rightfit("evaluate", job_id, "--format", "json")) == whole


def test_mistakes_are_restricted_to_a_cell(rightfit: Command, job_id: str) -> None:
    pair = document(rightfit("evaluate", job_id, "--json"))["confused"][0]
    cell = document(rightfit("evaluate", job_id, "--json", "--label", pair["label"], "--guess", pair["guess"]))
    assert {(each["label"], each["guess"]) for each in cell["mistakes"]} == {(pair["label"], pair["guess"])}


def test_matrix_is_printed_as_csv(rightfit: Command, job_id: str) -> None:
    rows = list(csv.reader(io.StringIO(rightfit("evaluate", job_id, "--format", "csv").stdout)))
    assert rows[0] == ["label", *"0123456789"]
    assert sum(int(cell) for row in rows[1:] for cell in row[1:]) == 200


def test_wrong_arguments_are_refused(rightfit: Command, job_id: str) -> None:
    assert rightfit("evaluate", job_id, "--part", "train").exit_code == 2
    assert rightfit("evaluate", job_id, "--label", "ten").exit_code == 3
    assert "there are: validation" in rightfit("evaluate", job_id, "--part", "test").stderr


def test_a_job_is_calibrated(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    rightfit("train", spec)
    lease = claim(live.parts)
    live.parts.store.leases.record_facts(lease, FACTS)
    assert rightfit("calibrate", lease.job_id).exit_code == 3
    finish(live.parts, lease, tmp_path, predictions=drawn(500, 10, 3.0))
    fact = document(rightfit("calibrate", lease.job_id, "--json"))
    assert fact["loss_after"] < fact["loss"]
    assert f"temperature {fact['temperature']:.3g}" in rightfit("calibrate", lease.job_id).stdout
