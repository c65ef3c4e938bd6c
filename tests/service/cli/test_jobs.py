"""The commands for jobs: submit, show, control; their text, their JSON and their exit codes."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli import main
from service.client import rightfit as client
from service.core.records.job import Outcome, Status, StopReason
from service.core.records.job_log import LogLine
from service.core.settings import Settings
from tests.pictures import folders, zipped
from tests.ports import eventually, free_port
from tests.service.cli.commands import Command, document, train_next_job
from tests.service.live import Live
from tests.service.worker_steps import claim, read_datasets


def test_a_job_is_trained_shown_and_listed(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    submitted = rightfit("train", spec, "--set", "epochs=5", "--set", "labels={team: a}", "--set", "name=first")
    assert submitted.exit_code == 0, submitted.output
    (job,) = document(rightfit("jobs", "--json"))["data"]
    assert (job["spec"]["epochs"], job["status"]) == (5, "queued")
    assert f"rightfit watch {job['id']}" in submitted.stdout
    second = document(rightfit("train", "-", "--json", stdin="dataset: {id: digits}\noptimizer: {lr: 1e-4}\n"))
    assert second["spec"]["optimizer"]["lr"] == 1e-4
    assert train_next_job(live, tmp_path).job_id == job["id"]
    assert job["id"] in rightfit("jobs", "--status", "succeeded", "--label", "team=a").stdout
    assert rightfit("jobs", "--label", "team=b").stdout == "no jobs\n"
    assert len(document(rightfit("jobs", "--json", "--limit", "1"))["data"]) == 1
    shown = rightfit("show", job["id"]).stdout
    assert "succeeded (max_epochs)" in shown
    assert "0.5000" in shown
    assert document(rightfit("show", job["id"], "--json"))["id"] == job["id"]


def test_a_plan_queues_nothing(rightfit: Command, spec: str) -> None:
    planned = rightfit("train", spec, "--plan").stdout
    assert "parameters; memory: model" in planned
    assert re.search(r"at most about [0-9.]+ s \([0-9.]+ s an epoch\), by arithmetic", planned), planned
    assert document(rightfit("train", spec, "--plan", "--json"))["parameters"] > 0
    assert document(rightfit("jobs", "--json"))["data"] == []


def test_a_job_is_diagnosed_forked_and_compared(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    first = document(rightfit("train", spec, "--json"))["id"]
    train_next_job(live, tmp_path, (0.9, 0.5, 0.6))
    diagnosis = document(rightfit("diagnose", first, "--json"))
    advice = next(advice["id"] for advice in diagnosis["advice"] if advice["patch"])
    words = rightfit("diagnose", first).stdout
    assert diagnosis["summary"] in words
    assert f" Expected: {diagnosis['advice'][0]['expected']}.\n" in words
    assert f"rightfit fork {first} {advice}" in words
    forked = document(rightfit("fork", first, advice, "--json"))
    assert forked["parent"] == first
    train_next_job(live, tmp_path, (0.8, 0.4, 0.45))
    patch = tmp_path / "patch.yaml"
    patch.write_text("- {op: replace, path: /epochs, value: 7}\n")
    assert document(rightfit("fork", first, "--patch", str(patch), "--json"))["spec"]["epochs"] == 7
    assert document(rightfit("fork", first, "--keep-weights", "--json"))["spec"]["model"]["weights"] == first
    compared = rightfit("compare", first, forked["id"])
    assert compared.exit_code == 0, compared.output
    assert "0.5000" in compared.stdout
    assert "0.4000" in compared.stdout
    assert document(rightfit("compare", first, forked["id"], "--json"))["differences"][0]["job"] == forked["id"]
    patch.write_text("op: replace")
    for wrong in ([first], [first, advice, "--patch", str(patch)], [first, "--patch", str(patch)]):
        assert rightfit("fork", *wrong).exit_code == 2
    assert rightfit("compare", first).exit_code == 2


def test_a_comparison_includes_its_caveats(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    first = document(rightfit("train", spec, "--json"))["id"]
    train_next_job(live, tmp_path)
    second = document(rightfit("train", spec, "--set", "dataset.id=mnist", "--json"))["id"]
    claim(live.parts)
    output = rightfit("compare", first, second).stdout
    assert "Scored on images of another data set" in output
    assert f"not ended yet: {second}" in output


def test_jobs_are_paused_resumed_and_cancelled(rightfit: Command, spec: str) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    assert "paused" in rightfit("pause", job).stdout
    assert document(rightfit("resume", job, "--json"))["status"] == "queued"
    assert "paused" in rightfit("pause", job).stdout
    assert document(rightfit("resume", job, "--gpus", "2", "--json"))["spec"]["gpus"] == 2
    assert "waits: no worker is alive" in rightfit("show", job).stdout
    assert document(rightfit("cancel", job, "--json"))["status"] == "cancelled"
    refused = rightfit("retry", job)
    assert refused.exit_code == 3
    assert "409" in refused.stderr


def test_requests_to_a_running_job_are_shown(rightfit: Command, spec: str, live: Live) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    watching = f"Watch it: rightfit watch {job}"
    lease = claim(live.parts)
    assert "will pause at the next batch" in rightfit("pause", job).stdout
    assert watching in rightfit("resume", job).stdout
    assert "asked to" not in rightfit("show", job).stdout
    live.parts.store.leases.finish(lease, Outcome(Status.FAILED, StopReason.DIVERGED), [])
    assert watching in rightfit("retry", job).stdout
    lease = claim(live.parts)
    assert "will stop at the next batch" in rightfit("cancel", job).stdout
    live.parts.store.leases.finish(lease, Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
    assert "asked to" not in rightfit("show", job).stdout


def test_the_log_is_printed_in_lines(rightfit: Command, spec: str, live: Live) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    assert "nothing yet" in rightfit("logs", job).stdout
    lease = claim(live.parts)
    written = [
        LogLine(0.0, "info", "epoch 1"),
        LogLine(0.0, "output", "Fatal \x1b[31mPython error"),
        LogLine(0.0, "info", "end"),
    ]
    live.parts.store.leases.write_log(lease, written)
    live.parts.store.leases.finish(lease, Outcome(Status.CANCELLED, StopReason.CANCELLED), [])
    lines = rightfit("logs", job).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == [
        "epoch 1",
        "output: Fatal \N{REPLACEMENT CHARACTER}[31mPython error",
        "end",
    ]
    assert rightfit("logs", job, "--follow").stdout.splitlines() == lines
    assert rightfit("logs", job, "--tail", "1").stdout.splitlines() == lines[-1:]
    listed = document(rightfit("logs", job, "--json"))["data"]
    followed = rightfit("logs", "-f", job, "--json").stdout.splitlines()
    assert [json.loads(line) for line in followed] == listed


def test_a_log_is_followed_until_the_job_has_ended(
    rightfit: Command, spec: str, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    lease = claim(live.parts)
    live.parts.store.leases.write_log(lease, [LogLine(0.0, "info", "one"), LogLine(0.0, "info", "two")])
    monkeypatch.setattr(client, "PAUSE_SECONDS", 0.05)

    def go_on() -> None:
        assert eventually(lambda: len(live.network.of("/logs")) > 1)  # the first answer has arrived
        live.parts.store.leases.write_log(lease, [LogLine(0.0, "info", f"{n} more") for n in range(3)])
        live.parts.store.leases.finish(lease, Outcome(Status.CANCELLED, StopReason.CANCELLED), [])

    worker = threading.Thread(target=go_on)
    worker.start()
    followed = rightfit("logs", job, "--follow", "--tail", "1").stdout.splitlines()
    worker.join()
    assert [line.split("  ", 1)[1] for line in followed] == ["two", "0 more", "1 more", "2 more"]


def test_a_file_is_downloaded_with_its_digest(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    train_next_job(live, tmp_path)
    folder = tmp_path / "out"
    folder.mkdir()
    got = document(rightfit("download", job, "-o", str(folder), "--json"))
    assert Path(got["path"]) == folder / "best_model.pth"
    assert (folder / "best_model.pth").read_bytes() == b"weights"
    assert got["sha256"] in rightfit("download", job, "best_model.pth", "-o", str(tmp_path / "m.pth")).stdout
    assert (tmp_path / "m.pth").read_bytes() == b"weights"
    missing = rightfit("download", job, "nothing.bin", "-o", str(folder))
    assert (missing.exit_code, "it has: best_model.pth" in missing.stderr) == (3, True)
    nowhere = rightfit("download", job, "-o", str(tmp_path / "no" / "m.pth"))
    assert nowhere.exit_code == 1


def test_a_folder_is_pushed_and_data_sets_are_listed(rightfit: Command, tmp_path: Path) -> None:
    for name, data in folders(each=2).items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(data)
    pushed = document(rightfit("data", "push", str(tmp_path / "pets"), "--name", "animals", "--json"))
    assert (pushed["name"], pushed["status"]) == ("animals", "processing")
    listed = rightfit("data", "ls").stdout
    assert "animals" in listed
    output = rightfit("data", "push", str(tmp_path / "pets")).stdout
    assert re.search(r"dataset: \{id: (ds_\w+)\}\nTrain on it: rightfit train SPEC --set dataset.id=\1\n", output)
    assert "digits" in listed
    assert document(rightfit("data", "ls", "--json"))["data"][1] == pushed
    (tmp_path / "pets" / "rows" / "gone.png").symlink_to("nowhere")
    assert "rows/gone.png" in rightfit("data", "push", str(tmp_path / "pets")).stdout
    with_json = rightfit("data", "push", str(tmp_path / "pets"), "--json")
    assert document(with_json)["status"] == "processing"
    assert "rows/gone.png" in with_json.stderr
    assert rightfit("data", "push", str(tmp_path / "nothing")).exit_code == 2
    (tmp_path / "x.rar").write_bytes(b"x")
    assert rightfit("data", "push", str(tmp_path / "x.rar")).exit_code == 1


def test_options_of_a_push_are_sent_and_shown(rightfit: Command, live: Live, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(zipped(folders(each=2) | {"rows/broken.png": b"x", "rows/notes.txt": b"x"}))
    (tmp_path / "labels.csv").write_text("file_name,label\nrows/000.png,a\nchecks/000.png,b\nrows/broken.png,a\n")
    words = ("data", "push", str(tmp_path / "pets.zip"), "--labels", str(tmp_path / "labels.csv"))
    pushed = document(rightfit(*words, "--skip-broken", "--background", "black", "--json"))
    assert pushed["options"] == {"skip_broken": True, "background": "black"}
    read_datasets(live.parts)
    shown = rightfit("data", "show", pushed["id"]).stdout
    assert "2 images: 1 a, 1 b" in shown
    assert "options: skip_broken true, background black" in shown
    dataset = document(rightfit("data", "show", pushed["id"], "--json"))
    assert len(dataset["warnings"]) > 1
    assert all(f"warning: {warning}" in shown for warning in dataset["warnings"])
    assert "options" not in rightfit("data", "show", "digits").stdout
    refused = rightfit(*words, "--background", "green")
    assert (refused.exit_code, "'white', 'black', 'mean'" in refused.stderr) == (2, True)


def test_exit_codes_tell_the_kind_of_error(rightfit: Command, spec: str, live: Live) -> None:
    refused = rightfit("train", spec, "--set", "epochs=0", "--set", "optimizer.lr=-1")
    assert refused.exit_code == 3
    assert "/epochs: " in refused.stderr
    assert "allowed: a whole number, 1 to" in refused.stderr
    assert refused.stdout == ""
    problem = rightfit("train", spec, "--set", "nothing=1", "--json")
    assert (problem.exit_code, document(problem)["errors"][0]["pointer"]) == (3, "/nothing")
    assert rightfit("train", spec, "--set", "epochs").exit_code == 2
    assert rightfit("train", "-", stdin="[]").exit_code == 2
    assert rightfit("train", "-", stdin="{").exit_code == 2
    assert rightfit("show").exit_code == 2
    live.network.refuse("/v1/jobs", "500 Oops", b"<html>")
    assert rightfit("jobs").exit_code == 5
    away = rightfit("--url", f"http://127.0.0.1:{free_port()}", "jobs", "--json")
    assert (away.exit_code, document(away)["code"]) == (4, "unreachable")
    assert "rightfit serve" in away.stderr
    assert rightfit("--url", "http://x:port", "jobs").exit_code == 2
    assert rightfit("--url", "localhost", "jobs").exit_code == 2


@pytest.mark.parametrize(
    "line",
    [["show"], ["show", "--nothing"], ["nothing"], ["--nothing", "jobs"], ["train", "-"], ["jobs", "--limit", "x"]],
)
def test_a_wrong_command_line_is_a_document_too(rightfit: Command, line: list[str]) -> None:
    wrong = rightfit(*line, "--json", stdin="{")
    assert (wrong.exit_code, document(wrong)["code"]) == (2, "usage")
    assert document(wrong)["detail"] in wrong.stderr


def test_a_binary_file_is_not_a_spec(rightfit: Command, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(b"PK\x03\x04\xff\xfe")
    wrong = rightfit("train", str(tmp_path / "pets.zip"))
    assert wrong.exit_code == 2
    assert "pets.zip is not UTF-8 text; it must be YAML or JSON" in wrong.stderr


@pytest.mark.parametrize("text", ["epochs: 1\nname: a\nepochs: 2\n", '{"epochs": 1,\n\n"epochs": 2}'])
def test_a_repeated_key_is_refused_with_its_line(rightfit: Command, text: str) -> None:
    wrong = rightfit("train", "-", stdin=text)
    assert (wrong.exit_code, "line 3 repeats a key: epochs" in wrong.stderr.replace('"', "")) == (2, True)


def test_another_server_is_reported(rightfit: Command, live: Live) -> None:
    live.network.refuse("/v1/jobs", "200 OK", b"<html>Welcome</html>", Content_Type="text/html")
    other = rightfit("jobs", "--json")
    assert (other.exit_code, document(other)["code"]) == (5, "not_rightfit")
    assert "is not a Rightfit service: it answers with text/html" in other.stderr


def test_a_missing_key_is_explained(settings: Settings) -> None:
    with Live(replace(settings, auth="keys")) as live:
        refused = CliRunner(env={"RIGHTFIT_URL": live.url}).invoke(main, ["jobs"])
    assert (refused.exit_code, "Set RIGHTFIT_API_KEY" in refused.stderr) == (3, True)


def test_a_fault_is_reported_once_with_a_suggestion(rightfit: Command, spec: str) -> None:
    wrong = ("--set", "epohcs=1", "--set", "optimizer.name=adamww", "--set", "model.arch=resnet81")
    output = rightfit("train", spec, *wrong).stderr
    for word, meant in (("epohcs", "epochs"), ("adamww", "adamw"), ("resnet81", "resnet18")):
        assert output.count(f"'{word}' is not known; did you mean '{meant}'?") == 1, output
    assert re.search(r"allowed: resnet18, resnet\d+, \w+ and \d+ more: /docs/reference", output)
    assert max(map(len, output.splitlines())) < 160


def test_an_unexpected_error_has_its_own_exit_code(rightfit: Command, live: Live) -> None:
    live.network.refuse("/v1/jobs", "200 OK", b"{}")
    broken = rightfit("jobs", "--json")
    assert (broken.exit_code, document(broken)["code"]) == (5, "internal_error")
    assert "Traceback" in broken.stderr


def test_ids_and_names_are_completed(rightfit: Command, spec: str, live: Live, tmp_path: Path) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    train_next_job(live, tmp_path)

    def completed(words: str, url: str = live.url) -> str:
        position = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        env = {"_RIGHTFIT_COMPLETE": "bash_complete", "RIGHTFIT_URL": url} | position
        return CliRunner(env=env).invoke(main, prog_name="rightfit").output

    assert completed(f"rightfit show {job[:3]}") == f"plain,{job}\n"
    assert "plain,best_model.pth" in completed(f"rightfit download {job} b")
    advice = document(rightfit("diagnose", job, "--json"))["advice"][0]["id"]
    assert f"plain,{advice}" in completed(f"rightfit fork {job} {advice[:2]}")
    assert completed("rightfit show x", f"http://127.0.0.1:{free_port()}").strip() == ""


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["data", "push", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = f"import sys, service.cli; service.cli.main({words!r}, standalone_mode=False); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "alembic", "plotext", "flask", "redis", "numpy", "ruamel.yaml"} & set(ran.stdout.split())


def test_a_running_job_is_shown_with_its_phase(rightfit: Command, spec: str, live: Live) -> None:
    job = document(rightfit("train", spec, "--json"))["id"]
    assert "0 jobs ahead of it" in rightfit("show", job).stdout
    claim(live.parts)
    assert "preparing, epoch 0 of at most 3, attempt 1" in rightfit("show", job).stdout
