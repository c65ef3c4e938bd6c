"""The list of jobs says what became of each."""

import re
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import event

from service.services import Services
from service.web.format import NOTHING
from tests.service.api.runs import FACTS
from tests.service.web.pages import looks_right, submit
from tests.service.worker_steps import claim, epoch, finish

TESTED = {"test": {"loss": 0.5, "accuracy": 0.75}}


def run(
    client: FlaskClient, parts: Services, folder: Path, verdicts: tuple[str, ...], facts: dict[str, Any] = FACTS
) -> str:
    """The id of an ended job for which these verdicts were recorded."""
    job = submit(client)
    lease = claim(parts)
    parts.store.leases.record_facts(lease, facts)
    parts.store.leases.append(lease, [epoch(1, 0.5, improved=True)])
    for verdict in verdicts:
        parts.store.leases.record_diagnosis(lease, {"verdict": verdict, "is_final": verdict == verdicts[-1]})
    finish(parts, lease, folder)
    return job


def cells(page: str, job: str, kind: str) -> str:
    """The text of a cell in the row of a job."""
    (row,) = (row for row in re.findall("<tr>.*?</tr>", page, re.DOTALL) if f'id="pick-{job}"' in row)
    (cell,) = re.findall(f'<td class="{kind}".*?</td>', row)
    return " ".join(re.sub("<[^>]+>", " ", cell).split())


def test_list_has_the_newest_recorded_verdict(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    job = run(client, parts, tmp_path, ("overfitting", "stagnant_generalization"))
    waiting = submit(client)
    page = looks_right(client, "/")
    assert cells(page, job, "verdict") == "stagnant generalization"
    assert cells(page, waiting, "verdict") == NOTHING


def test_list_has_the_test_accuracy_if_there_is_one(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    tested = run(client, parts, tmp_path, ("healthy",), FACTS | TESTED)
    other = run(client, parts, tmp_path, ("healthy",))
    page = looks_right(client, "/")
    assert cells(page, tested, 'figure" data-name="accuracy') == "75.0% test"
    assert cells(page, other, 'figure" data-name="accuracy') == "80.0% validation"


def test_list_needs_as_many_statements_for_many_jobs(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    counts, statements = [], list[str]()
    event.listen(parts.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    for _ in range(3):
        run(client, parts, tmp_path, ("healthy",))
        statements.clear()
        client.get("/")
        counts.append(len(statements))
    assert len(set(counts)) == 1


def test_rows_are_sorted_by_the_chosen_column(client: FlaskClient, parts: Services) -> None:
    losses = {"b": 0.5, "c": 0.2, "a": 0.9}
    for name, loss in losses.items():
        submit(client, name=name)
        parts.store.leases.append(claim(parts), [epoch(1, loss, improved=True)])
    submit(client, name="d")

    def shown(query: str) -> list[str]:
        return re.findall(r'<a id="to-job_[^>]+>(\w)</a>', looks_right(client, f"/?{query}"))

    assert shown("") == ["d", "a", "c", "b"]
    assert shown("sort=name") == ["a", "b", "c", "d"]
    assert shown("sort=loss") == ["c", "b", "a", "d"]
    assert shown("sort=nothing") == shown("")
    page = looks_right(client, "/?sort=loss&q=b")
    assert 'aria-sort="ascending"' in page
    assert 'href="/?q=b"' in page
    assert "sort=name" in page
