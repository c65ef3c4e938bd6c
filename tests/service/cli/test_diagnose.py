"""`rightfit diagnose` of histories from elsewhere, which needs no service."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from service.core.diagnosis.verdicts import Verdict
from tests.service.cli.commands import document

LOG = "\n".join(
    f"Epoch {i + 1}/20 - loss: {2 * 0.75**i:.4f} - val_loss: {max(0.6, 1 - i / 10) + 0.05 * max(0, i - 5):.4f}"
    for i in range(20)
)
HEAVY = ("sqlalchemy", "marshmallow", "flask", "numpy", "plotext", "ruamel.yaml", "matplotlib")


def rightfit(*words: str, stdin: str | None = None) -> Result:
    """Run the command where no service listens."""
    return CliRunner(env={"RIGHTFIT_URL": "http://127.0.0.1:1", "COLUMNS": "200"}).invoke(main, words, input=stdin)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "log.txt"
    path.write_text(LOG)
    return str(path)


def test_a_file_and_a_log_on_stdin_are_diagnosed(file: str) -> None:
    read = rightfit("diagnose", file)
    assert read.exit_code == 0, read.output
    assert read.stdout == rightfit("diagnose", "-", stdin=LOG).stdout
    assert "read: 20 epochs of log: " in read.stdout
    assert "unknown: classes (--classes); " in read.stdout
    answer = document(rightfit("diagnose", file, "--json", "--classes", "10", "--validation-images", "900"))
    assert answer["verdict"] in ("overfitting", "overconfident")
    assert {one["what"] for one in answer["missing"]} >= {"val_accuracy", "label_counts"}
    assert not {one["what"] for one in answer["missing"]} & {"classes", "validation_images"}


def test_a_reason_is_printed_once_for_the_advice_in_a_row(file: str) -> None:
    reasons = [each["reason"] for each in document(rightfit("diagnose", file, "--json"))["advice"]]
    printed = rightfit("diagnose", file).stdout
    starts = [now for before, now in zip(["", *reasons], reasons, strict=False) if now != before]
    assert len(starts) < len(reasons)
    assert printed.count(" Expected: ") == len(reasons)
    for reason in set(reasons):
        assert printed.count(reason) == starts.count(reason)


def test_advice_is_printed_before_the_evidence(file: str) -> None:
    printed = rightfit("diagnose", file).stdout
    verdict, advice, evidence, read = (
        printed.index(words) for words in (": Since", "Expected: ", "evidence:", "read: ")
    )
    assert verdict < advice < evidence < read
    assert "train_loss from train_loss" not in printed


def test_the_exit_code_tells_the_verdict(file: str) -> None:
    verdict = document(rightfit("diagnose", file, "--json"))["verdict"]
    others = ",".join(set(Verdict) - {verdict})
    assert rightfit("diagnose", file, "--fail-on", others).exit_code == 0
    assert rightfit("diagnose", file, "--fail-on", f"diverged, {verdict}").exit_code == 1
    assert rightfit("diagnose", file, "--fail-on", "bad").exit_code == 2


def test_columns_and_run_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,a,b\n" + "".join(f"{run},{i},{1 / i}\n" for run in "pq" for i in range(1, 9)))
    names = ("--columns", "run:id,epoch:a,val_loss:b")
    refused = rightfit("diagnose", str(path), *names)
    assert (refused.exit_code, "run= with one of p, q" in refused.stderr) == (3, True)
    assert "8 epochs of CSV" in rightfit("diagnose", str(path), *names, "--run", "q").stdout
    assert rightfit("diagnose", str(path), "--columns", "nothing").exit_code == 2


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as writer:
        writer.submit(pipe.write_text, LOG)
        assert "read: 20 epochs of log: " in rightfit("diagnose", str(pipe)).stdout


def test_code_of_a_framework_is_shown(file: str) -> None:
    assert "keras." in rightfit("diagnose", file, "--framework", "keras").stdout
    assert "keras." not in rightfit("diagnose", file).stdout


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    refused = rightfit("diagnose", "-", "--json", stdin="hello")
    assert refused.exit_code == 3
    assert document(refused)["errors"][0]["allowed"]
    assert rightfit("diagnose", str(tmp_path)).exit_code == 2
    assert rightfit("diagnose", str(tmp_path / "missing.csv")).exit_code == 2
    assert rightfit("diagnose", "-", "--label-counts", "1,2", "--classes", "3", stdin=LOG).exit_code == 3
    assert rightfit("diagnose", "job_1").exit_code == 4


def test_diagnosing_a_file_loads_no_slow_module(file: str) -> None:
    code = (
        "import sys; from service.cli import main; main(['diagnose', sys.argv[1]], standalone_mode=False);"
        "print('|'.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, file],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    loaded = set(done.stdout.splitlines()[-1].split("|"))
    assert "service.core.experiments.foreign_runs" in loaded
    assert not loaded & set(HEAVY)
