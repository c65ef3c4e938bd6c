"""Suggestions that are tried together, and the page of their ablation."""

import html
import json
import re
from pathlib import Path

from flask.testing import FlaskClient

from service.services import Services
from tests.service.web.pages import looks_right, run, submit


def test_first_suggestions_start_an_ablation_with_a_page(client: FlaskClient, parts: Services, tmp_path: Path) -> None:
    job = submit(client, name="first", seed=3)
    run(parts, tmp_path)
    page = looks_right(client, f"/jobs/{job}")
    (address, body, go) = re.findall(
        r'id="do-ablation" data-post="([^"]+)" data-body=\'([^\']+)\' data-go="([^"]+)"', page
    )[0]
    factors = json.loads(html.unescape(body))["factors"]
    assert 2 <= len(factors) <= 3
    made = client.post(address, json=json.loads(html.unescape(body))).json or {}
    shown = looks_right(client, go.replace("JOB", made["id"]))
    assert "without a change" in shown
    assert "all together" in shown
    assert shown.count('href="/jobs/job_') == 2 * (len(factors) + 2)
    arm = next(arm for arm in made["arms"] if arm["name"] == factors[0])
    assert f"<h1>first + {factors[0].replace('_', ' ')}</h1>" in looks_right(client, f"/jobs/{arm['jobs'][0]['id']}")
    looks_right(client, "/ablations/nothing", 404)


def test_a_running_job_offers_no_ablation(client: FlaskClient, parts: Services) -> None:
    job = submit(client)
    assert "do-ablation" not in looks_right(client, f"/jobs/{job}")
