"""The callbacks of the page on diagnoses. To run each in a tiny training of its own framework, with those of the
benchmark: `PYTHONPATH=$(echo .venv-bench/lib/*/site-packages) .venv/bin/python -m tests.service.docs.callbacks`
"""

import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from service.core.diagnosis.histories import read
from service.core.experiments.foreign_runs import KnownFacts, diagnose_reading
from service.docs import FOLDER
from tests.service.core.diagnosis.histories.make_files import CLASSES, fit_keras, fit_lightning, fit_transformers

FENCED = re.compile(r"^```python\n# Run by the tests with (\w+)\.\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def verdict_class(framework: str) -> Any:
    """The class `Verdict` of the page for a framework, which must be installed."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(dict(FENCED.findall((FOLDER / "diagnose.md").read_text("utf-8")))[framework], names)  # noqa: S102 - our own page
    return names["Verdict"]


def keras_file(*callbacks: Any) -> bytes:
    return json.dumps(fit_keras(*callbacks)).encode()


def trainer_file(*callbacks: Any) -> bytes:
    return json.dumps({"log_history": fit_transformers(*callbacks).log_history}).encode()


RUNS: dict[str, Callable[..., bytes]] = {
    "keras": keras_file,
    "pytorch_lightning": fit_lightning,
    "transformers": trainer_file,
}


def main() -> None:
    for framework, run in RUNS.items():
        with redirect_stdout(StringIO()) as printed:
            recorded = run(verdict_class(framework)(classes=CLASSES))
        diagnosis = diagnose_reading(read(recorded), KnownFacts(classes=CLASSES))
        expected = f"{diagnosis.verdict}: {diagnosis.summary}"
        print(framework, expected)
        assert expected in printed.getvalue().splitlines(), printed.getvalue()


if __name__ == "__main__":
    main()
