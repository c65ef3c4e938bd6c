"""The files of the dashboard and the alerts. tests/life/test_watched.py checks that their metrics exist."""

import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from deploy.monitoring import check
from service.docs import FOLDER

TOOL = check.promtool()
needs_promtool = pytest.mark.skipif(TOOL is None, reason="no promtool; `make promtool` fetches one")


def test_dashboard_and_alerts_have_no_faults() -> None:
    assert check.faults() == []
    assert len(list(check.expressions())) > 40


def test_expression_that_does_not_parse_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unclosed"):
        promql_parser.parse("sum(rightfit_queue_jobs")
    monkeypatch.setattr(check, "expressions", lambda: iter(["sum(rightfit_queue_jobs"]))
    assert [fault.partition(":")[0] for fault in check.faults()] == ["sum(rightfit_queue_jobs"]


def test_each_alert_is_tested_and_documented() -> None:
    names = {rule["alert"] for rule in check.rules()}
    tests = check.TESTS.read_text()
    page = (FOLDER / "monitoring.md").read_text("utf-8")
    assert set(re.findall(r"`(Rightfit\w+)`", page)) == names
    for name in names:
        outcomes = re.findall(rf'alertname="{name}", alertstate="firing".*\n +exp_samples: .* value: (\d)', tests)
        assert set(outcomes) == {"0", "1"}, f"{name} needs a test where it fires and one where it does not"


def test_the_documented_scrape_configuration_is_valid() -> None:
    (shown,) = re.findall(
        r"^```yaml\n(.*?)^```$", (FOLDER / "monitoring.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    (job,) = yaml.safe_load(shown)["scrape_configs"]
    assert job.keys() == {"job_name", "static_configs"}
    assert all(
        re.fullmatch(r"127\.0\.0\.1:\d+", target) for each in job["static_configs"] for target in each["targets"]
    )


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(TOOL), "test", "rules", check.TESTS.name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@needs_promtool
def test_alerts_fire_in_promtool() -> None:
    checked = subprocess.run([str(TOOL), "check", "rules", check.ALERTS], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    ran = run(check.FOLDER)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
@pytest.mark.parametrize("wait", sorted(set(re.findall(r"for: \d+m", check.ALERTS.read_text()))))
def test_promtool_fails_for_an_alert_that_waits_a_day(tmp_path: Path, wait: str) -> None:
    shutil.copy(check.TESTS, tmp_path)
    (tmp_path / check.ALERTS.name).write_text(check.ALERTS.read_text().replace(wait, "for: 1d"))
    assert run(tmp_path).returncode != 0
