"""The evaluation on the page of a job, and the page of its mistakes."""

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from service.core.evaluation.evaluation import evaluate
from service.core.evaluation.predictions import TEST, VALIDATION, Predictions, joined
from service.core.records.job import Outcome, Status, StopReason
from service.services import Services
from tests.pictures import folders, zipped
from tests.service.api.runs import FACTS
from tests.service.api.uploads import ready
from tests.service.drawn import drawn
from tests.service.web.pages import expect_small, looks_right, submit
from tests.service.worker_steps import claim, epoch, finish

PREDICTIONS = joined(drawn(300, 10, 3.0), drawn(200, 10, 3.0, seed=1, part=TEST))
PICTURE = list(folders(each=1, side=8).values())


def ended(
    client: FlaskClient, parts: Services, folder: Path, predictions: Predictions | None = PREDICTIONS, **spec: Any
) -> str:
    """The address of the page of an ended job."""
    job = submit(client, **spec)
    lease = claim(parts)
    parts.store.leases.record_facts(lease, FACTS)
    finish(parts, lease, folder, predictions=predictions)
    return f"/jobs/{job}"


def plain(page: str) -> str:
    """The text of a page without its tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page)))


def cells(page: str) -> list[list[int]]:
    """The numbers of the confusion matrix."""
    rows = re.findall("<tr>.*?</tr>", page.partition('class="matrix')[2].partition("</table>")[0])[1:]
    return [[int(plain(cell) or 0) for cell in re.findall("<td.*?(?=<td|</tr>)", row)] for row in rows]


def test_score_stands_beside_guessing_and_its_interval(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    address = ended(client, parts, tmp_path)
    page, truth = looks_right(client, address), evaluate(PREDICTIONS, TEST)
    low, high = truth.scores.accuracy_interval
    right = int(truth.outcomes.is_right.sum())
    assert f"{truth.scores.accuracy:.1%} right guessing gets {truth.baseline.accuracy:.1%}" in plain(page)
    assert f"{right} of 200 test images: read it as {low:.1%} to {high:.1%}" in plain(page)
    assert "of 300 validation images" in plain(looks_right(client, f"{address}?part=validation"))
    assert "there are: validation, test" in looks_right(client, f"{address}?part=train", 404)


def test_running_job_has_the_score_of_its_best_epoch(client: FlaskClient, parts: Services) -> None:
    job = submit(client)
    lease = claim(parts)
    parts.store.leases.record_facts(lease, FACTS)
    parts.store.leases.append(lease, [epoch(1, 0.5, improved=True)])
    page = plain(looks_right(client, f"/jobs/{job}"))
    assert "80.0% right guessing gets 10.0% 160 of 200 validation images: read it as 73.9% to 85.0%" in page
    assert "The job is running; it has predictions once it has ended." in page


def test_matrix_leads_to_the_pictures_of_a_cell(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    page, truth = looks_right(client, ended(client, parts, tmp_path)), evaluate(PREDICTIONS, TEST)
    assert cells(page) == truth.scores.confusion.tolist()
    links = [html.unescape(link) for link in re.findall(r'<td(?: class="\w+-\d")?><a href="([^"]+)"', page)]
    assert len(links) == np.count_nonzero(truth.scores.confusion)
    (link,) = (link for link in links if link.endswith("label=3&guess=5"))
    pictures = looks_right(client, link)
    assert "<h1>Is 3, said 5</h1>" in pictures
    assert pictures.count('?size=80"') == truth.scores.confusion[3, 5]
    assert "<h1>3, guessed right</h1>" in looks_right(client, link.replace("guess=5", "guess=3"))
    assert "allowed: 0, 1, 2" in looks_right(client, link.replace("guess=5", "guess=x"), 422)


def test_worst_mistakes_show_what_the_model_said(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    page, truth = looks_right(client, ended(client, parts, tmp_path)), evaluate(PREDICTIONS, TEST)
    row, of = truth.mistakes(1)[0], truth.outcomes
    assert page.count('?size=80"') == 20
    expect_small(client, page)
    first = page.index(f'<img src="/v1/datasets/digits/images/{of.index[row]}?size=80"')
    said = f"said {of.guess[row]} {of.confidence[row]:.1%},is {of.label[row]}"
    assert said in plain(page[first:])[:200]
    wrong = int((~of.is_right).sum())
    assert f"More of the {wrong} mistakes" in page


def test_table_of_classes_has_recall_with_its_interval(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    text = plain(looks_right(client, ended(client, parts, tmp_path)))
    score = evaluate(PREDICTIONS, TEST).scores.per_class[3]
    low, high = score.recall_interval
    assert f"3{score.support}{score.precision:.1%}{score.recall:.1%} {low:.1%} to {high:.1%}{score.f1:.3f}" in text


def test_temperature_is_offered_until_it_is_in_use(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    address = ended(client, parts, tmp_path)
    page, truth = looks_right(client, address), evaluate(PREDICTIONS, VALIDATION).calibration
    assert page.count("<circle ") == sum(each.images > 0 for each in evaluate(PREDICTIONS, TEST).calibration.bins)
    assert f"{truth.temperature:.3g}" in page
    (calibrate,) = re.findall(r'id="do-calibrate" data-post="([^"]+)"', page)
    assert client.post(calibrate).status_code == 200
    page = looks_right(client, address)
    assert "do-calibrate" not in page
    assert "Predictions use the temperature" in page


@pytest.mark.parametrize(
    ("status", "reason"),
    [(Status.SUCCEEDED, "before release 0.2.0"), (Status.CANCELLED, "no epoch ended with a finite loss")],
)
def test_page_says_why_there_is_no_evaluation(
    client: FlaskClient, parts: Services, status: Status, reason: str
) -> None:
    job = submit(client)
    lease = claim(parts)
    if status is Status.SUCCEEDED:
        parts.store.leases.append(lease, [epoch(1, 0.5, improved=True)])
    parts.store.leases.finish(lease, Outcome(status, StopReason.CANCELLED), [])
    page = looks_right(client, f"/jobs/{job}")
    assert "The job has published no predictions.npz" in page
    assert reason in page


def test_damaged_predictions_leave_the_page_whole(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    address = ended(client, parts, tmp_path)
    (stored,) = Path(parts.settings.home).rglob("predictions.npz")
    stored.write_bytes(b"x")
    page = looks_right(client, address)
    assert "is damaged" in page
    assert "No curve: " in page


def test_many_classes_have_pairs_and_their_weakest(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    page = looks_right(client, ended(client, parts, tmp_path, drawn(5000, 100), dataset={"id": "cifar100"}))
    assert 'class="matrix' not in page
    assert "Most confused classes" in page
    assert "The 50 of 100 classes with the lowest F1" in page
    expect_small(client, page)


def test_matrix_of_fifty_classes_keeps_the_page_small(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    names = [f"a class of pictures {number}" for number in range(50)]
    dataset = ready(client, parts, zipped({f"{name}/{i}.png": PICTURE[i] for name in names for i in range(2)}))
    predictions = drawn(20_000, 50)
    page = looks_right(client, ended(client, parts, tmp_path, predictions, dataset={"id": dataset["id"]}))
    truth = evaluate(predictions, VALIDATION).scores.confusion
    assert cells(page) == truth.tolist()
    assert np.count_nonzero(truth) > 2000
    assert page.count('title="a class of pictures 7"') == 2, "the heads are cut after 16 characters"
    expect_small(client, page)


def test_page_of_mistakes_limits_its_pictures(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    page = looks_right(client, f"{ended(client, parts, tmp_path, drawn(400, 10))}/mistakes")
    assert page.count('?size=80"') == 100
    assert "The 100 of " in page
