"""`python -m deploy.monitoring.check` checks that Grafana and Prometheus can read the dashboard and the alerts.

It parses every expression. If promtool is installed (on the path, or in .venv/bin after `make promtool`), promtool
checks the rules and runs their tests.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from deploy.monitoring import dashboard

FOLDER = Path(__file__).parent
ALERTS, TESTS = FOLDER / "alerts.yaml", FOLDER / "alerts.test.yaml"
DASHBOARD = FOLDER / "dashboard.json"
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}  # example values for Grafana's variables
METRIC = re.compile(r"\b(?:rightfit|process)_[a-z0-9_]+\b(?!\s*=)")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Every PromQL expression of the alerts and the dashboard, with the variables filled in."""
    for rule in rules():
        yield rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression: str = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            yield expression


def named() -> set[str]:
    """The names of all metrics that the alerts and the dashboard use."""
    return {name for expression in expressions() for name in METRIC.findall(expression)}


def faults() -> list[str]:
    """One message per fault; empty if there are none."""
    messages = []
    for expression in expressions():
        try:
            promql_parser.parse(expression)
        except ValueError as error:
            messages.append(f"{expression}: {error}")
    for rule in rules():
        missing = {"alert", "expr", "for", "labels", "annotations"} - set(rule)
        missing |= {"summary", "description"} - set(rule.get("annotations", ()))
        if missing:
            messages.append(f"{rule.get('alert')} has no {', '.join(sorted(missing))}")
    if DASHBOARD.read_text() != dashboard.as_json():
        messages.append("dashboard.json is out of date; run `python -m deploy.monitoring.dashboard`")
    return messages


def promtool() -> str | None:
    """The path of promtool; None if it is not installed."""
    own = Path(sys.executable).with_name("promtool")
    return shutil.which("promtool") or (str(own) if own.exists() else None)


def main() -> int:
    messages = faults()
    for message in messages:
        print(message, file=sys.stderr)
    tool = promtool()
    if tool is None:
        print("promtool is not installed (`make promtool`): the alerts were parsed, but their tests were not run")
        return bool(messages)
    statuses = [
        subprocess.run([tool, *words], cwd=FOLDER, check=False).returncode
        for words in (["check", "rules", ALERTS.name], ["test", "rules", TESTS.name])
    ]
    return bool(messages or any(statuses))


if __name__ == "__main__":
    sys.exit(main())
