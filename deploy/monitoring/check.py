"""`python -m deploy.monitoring.check`: the dashboard and the alerts are what Grafana and Prometheus can read.

Every expression is parsed; where promtool is at hand (on the path, or in .venv/bin after `make promtool`), it checks
the rules and runs their tests as well.
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
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}  # Grafana's, as it might fill them in
METRIC = re.compile(r"\b(?:rightfit|process)_[a-z0-9_]+\b(?!\s*=)")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Every PromQL expression in the alerts and on the dashboard, as Prometheus would be asked."""
    for rule in rules():
        yield rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expression: str = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            yield expression


def named() -> set[str]:
    """The metrics that any of them asks for."""
    return {name for expression in expressions() for name in METRIC.findall(expression)}


def faults() -> list[str]:
    """What is wrong, in words."""
    found = []
    for expression in expressions():
        try:
            promql_parser.parse(expression)
        except ValueError as error:
            found.append(f"{expression}: {error}")
    for rule in rules():
        lacking = {"alert", "expr", "for", "labels", "annotations"} - set(rule)
        lacking |= {"summary", "description"} - set(rule.get("annotations", ()))
        if lacking:
            found.append(f"{rule.get('alert')} has no {', '.join(sorted(lacking))}")
    if DASHBOARD.read_text() != dashboard.as_json():
        found.append("dashboard.json is not what dashboard.py makes; run `python -m deploy.monitoring.dashboard`")
    return found


def promtool() -> str | None:
    """Where it is; None where nobody has installed it."""
    own = Path(sys.executable).with_name("promtool")
    return shutil.which("promtool") or (str(own) if own.exists() else None)


def main() -> int:
    found = faults()
    for fault in found:
        print(fault, file=sys.stderr)
    tool = promtool()
    if tool is None:
        print("promtool is not there (`make promtool`): the alerts were parsed, their tests were not run")
        return bool(found)
    checked = [
        subprocess.run([tool, *words], cwd=FOLDER, check=False).returncode
        for words in (["check", "rules", ALERTS.name], ["test", "rules", TESTS.name])
    ]
    return bool(found or any(checked))


if __name__ == "__main__":
    sys.exit(main())
