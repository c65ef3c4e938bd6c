"""Every command and every snippet of the README and the pages runs as it stands against a whole stack."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import torchvision

from service.client import Rightfit
from service.core.diagnosis import Verdict
from service.docs import FOLDER, PAGES, REFERENCE, VERDICTS
from service.docs.reference import reference
from tests.conftest import Serving
from tests.pictures import folders, zipped
from tests.servers import ROOT

WRITTEN = "http://127.0.0.1:8000"  # the address of the service in the pages
FENCED = re.compile(r"^```(\w+) *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {"text", "csv", "json"}  # languages of blocks that are read, not run
READ = {"deploying": {"nginx", "yaml"}, "monitoring": {"yaml"}}  # configurations that other tests read
IN_A_BROWSER = "js"  # the language of blocks that tests/life/test_use_in_a_browser.py runs
BEFORE_ALL = "make "  # begins each line of the blocks that set up and start what the others need
NOT_RUN = re.compile(r"# (?:Not run by the tests: \S+|Run by the tests with \w+)")  # in a block's first line, for the
# reader too; those of a framework are run in tests/service/docs/test_callbacks.py
# The number of such blocks on each page.
NOT_RUN_ON = {"README": 2, "cookbook": 1, "deploying": 4, "diagnose": 6, "fits": 1, "operations": 2, "weights": 1}
RUN = {  # the pages that the tests of this module run, beside those of verdicts
    "README",
    "client",
    "command",
    "cookbook",
    "datasets",
    "diagnose",
    "evaluation",
    "fits",
    "networks",
    "operations",
    "start_curl",
    "tutorial",
    "use",
    "weights",
}
SMALL: dict[str, Any] = {
    "dataset": {"id": "digits", "train_limit": 100},
    "model": {"arch": "mlp", "hidden": [16]},
    "epochs": 2,
    "early_stopping": None,
}
SHARED = "SMALL = "  # the snippet of the names that all later ones use
README = ROOT / "README.md"
SECONDS = 240  # for a page, on a busy machine; then its commands are ended

pytestmark = pytest.mark.timeout(2 * SECONDS)  # includes the start of the stack


@dataclass(frozen=True)
class Block:
    """A fenced block: what runs it, whether it shows a refusal, and its text."""

    language: str
    shows: str
    text: str

    @property
    def is_run(self) -> bool:
        return (
            self.language in ("sh", "python") and not NOT_RUN.match(self.text) and not self.text.startswith(BEFORE_ALL)
        )


def blocks(text: str) -> list[Block]:
    return [Block(*groups) for groups in FENCED.findall(text)]


def script(run: list[Block]) -> Iterator[str]:
    """All blocks in one shell, a mark before each; a snippet is a program of its own, after the shared names."""
    names = ""
    for number, block in enumerate(run):
        yield f"echo; echo '@@ {number}'"
        if block.language == "python":
            yield f"python - <<'SNIPPET'\n{names}{block.text}SNIPPET"
            names = block.text if SHARED in block.text else names
        else:
            yield block.text


def run_page(text: str, folder: Path, url: str) -> str:
    """Run the blocks of a page in a folder; returns their output. Fails where a command fails, where a block that shows
    a refusal prints no problem, and where another block prints one.
    """
    run = [block for block in blocks(text) if block.is_run]
    program = "\n".join(script(run)).replace(WRITTEN, url)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env=os.environ | {"PATH": path, "RIGHTFIT_URL": url},
    )
    assert ran.returncode == 0, (ran.stdout[-2000:], ran.stderr[-2000:])
    _, *answers = re.split(r"^@@ \d+$", ran.stdout, flags=re.MULTILINE)
    for block, answer in zip(run, answers, strict=True):
        is_problem = '"code":' in answer and '"request_id":' in answer
        assert is_problem == (block.shows == "refused"), (block.text, answer)
    return ran.stdout


def write_pets(folder: Path, each: int) -> None:
    """Write a folder `pets` of pictures in class folders, and an archive of 10 pictures a class."""
    for name, data in folders(each=each).items():
        (folder / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pets" / name).write_bytes(data)
    (folder / "pets.zip").write_bytes(zipped(folders()))


def test_commands_of_the_readme_work(serving: Serving, tmp_path: Path) -> None:
    write_pets(tmp_path, each=20)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    output = run_page(README.read_text("utf-8"), tmp_path, serving.url)
    for words in (
        "best: epoch",
        "best val loss",
        "as in the manifest",
        '"probabilities"',
        "event: end",
        '"verdict":"',
        '"parent":"',
        '"differences":',
        '"stop_epoch":',
        '"pointer": "/optimizer/lr"',
        "\nepoch 0.",
    ):
        assert words in output, words
    assert output.count('"name":"pets"') == 2
    assert torch.load(tmp_path / "best_model.pth", weights_only=True)


def test_commands_of_the_page_on_data_sets_work(serving: Serving, tmp_path: Path) -> None:
    write_pets(tmp_path, each=10)
    rows = "".join(f"{name},{'even' if name < 'r' else 'odd'}\n" for name in folders())
    (tmp_path / "labels.csv").write_text(f"file_name,label\n{rows}")
    (tmp_path / "pets" / "rows" / "broken.png").write_bytes(b"broken")
    output = run_page((FOLDER / "datasets.md").read_text("utf-8"), tmp_path, serving.url)
    assert '"options":{"skip_broken":true,"background":"white"}' in output
    assert '"options":{"skip_broken":false,"background":"black"}' in output
    assert "options: skip_broken true, background mean" in output
    assert re.search(r"^ready \['even', 'odd'\] \[.*rows/broken\.png", output, re.MULTILINE)


def test_the_documented_make_targets_are_those_of_the_makefile() -> None:
    text = README.read_text("utf-8") + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b", text))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named == targets


@pytest.mark.long
def test_tutorial_works(serving: Serving, tmp_path: Path) -> None:
    output = run_page((FOLDER / "tutorial.md").read_text("utf-8"), tmp_path, serving.url)
    assert '"pointer": "/optimiser"' in output
    assert "exact duplicates: 1 image, such as shapes/circle/copy.png" in output
    assert '"verdict":"stagnant_generalization"' in output
    assert "better beyond noise" in output
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    (probabilities,) = re.findall(r"^\{'circle': .*\}$", output, re.MULTILINE)
    assert {word.strip("'") for word in re.findall(r"'\w+'", probabilities)} == {
        "circle",
        "cross",
        "square",
        "triangle",
    }


@pytest.mark.long
def test_recipes_of_the_cookbook_work(serving: Serving, tmp_path: Path) -> None:
    output = run_page((FOLDER / "cookbook.md").read_text("utf-8"), tmp_path, serving.url)
    assert "best_model.pth: OK" in output
    assert '"name":"5 global_avg_pool"' in output
    assert output.count("lr") >= 2
    assert "\nmax_seconds\n" in output
    assert "event: end" in output
    assert '"split":{"train":60,"validation":40,"test":40}' in output
    assert "('/optimizer/lr', 'a number, above 0 to 10')" in output
    assert re.search(r"^\{'least': 0\.\d+, 'most': 0\.\d+\} \[", output, re.MULTILINE)
    assert "drawings/a/broken.png" in output


@pytest.mark.parametrize("page", ["README", REFERENCE, *PAGES])
def test_block_is_run_or_says_why_not(page: str) -> None:
    text = text_of(page)
    page_blocks = blocks(text)
    assert len(page_blocks) == text.count("\n```") / 2
    assert {block.language for block in page_blocks} <= {"sh", "python", IN_A_BROWSER, *SHOWN, *READ.get(page, ())}
    assert {block.shows for block in page_blocks} <= {"", "refused"}
    programs = [block for block in page_blocks if block.language in ("sh", "python")]
    assert sum(not block.is_run for block in programs) == NOT_RUN_ON.get(page, 0)
    assert page in RUN or page.startswith("verdicts/") or not any(block.is_run for block in programs)


def text_of(page: str) -> str:
    """The Markdown of a page of the documents, or of the README."""
    if page == REFERENCE:
        return reference()
    return (README if page == "README" else PAGES[page]).read_text("utf-8")


@pytest.mark.long
def test_commands_of_the_page_on_fits_work(serving: Serving, tmp_path: Path) -> None:
    output = run_page((FOLDER / "fits.md").read_text("utf-8"), tmp_path, serving.url)
    assert "event: end" in output
    assert '"status":"succeeded"' in output
    assert "## What it cost" in output
    assert "3 options are varied" in output
    assert "is kept." in output
    assert torch.load(tmp_path / "best_model.pth", weights_only=True)


def test_commands_of_the_page_on_diagnoses_work(serving: Serving, tmp_path: Path) -> None:
    output = run_page((FOLDER / "diagnose.md").read_text("utf-8"), tmp_path, serving.url)
    assert "read: 12 epochs of log" in output
    assert "read: 8 epochs of log" in output
    assert "12 epochs of MLflow" in output
    assert re.search(r"^(?:overfitting|overconfident) 0\.\d+$", output, re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            "start_curl",
            ["- longer_training ", "best val_loss", '"probabilities"', "\nhistory.png ", '"status":"ready"'],
        ),
        ("client", ["\nsucceeded 0.", "\n/epochs ", "a whole number, 1 to"]),
        ("command", ["as in the manifest"]),
    ],
)
def test_commands_of_the_first_pages_work(serving: Serving, tmp_path: Path, page: str, expected: list[str]) -> None:
    write_pets(tmp_path, each=10)
    output = run_page((FOLDER / f"{page}.md").read_text("utf-8"), tmp_path, serving.url)
    assert [words for words in expected if words not in output] == []


def test_commands_of_the_pages_on_using_a_model_work(serving: Serving, tmp_path: Path) -> None:
    output = run_page((FOLDER / "use.md").read_text("utf-8"), tmp_path, serving.url)
    assert re.search(r"^\d \d+\.\d%$", output, re.MULTILINE)
    assert re.search(r"^history\.png \d \d+\.\d%$", output, re.MULTILINE)
    assert re.search(r"^\['\d', '\d', '\d', '\d'\]$", output, re.MULTILINE)
    output = run_page((FOLDER / "networks.md").read_text("utf-8"), tmp_path, serving.url)
    assert '"/model/norm": "batch"' in output


@pytest.mark.long
def test_commands_of_the_verdict_pages_work(serving: Serving, tmp_path: Path) -> None:
    spec: dict[str, Any] = {"dataset": {"id": "digits", "train_limit": 100}, "epochs": 1, "early_stopping": None}
    spec |= {"optimizer": {"lr": 0.5}, "augmentation": {"normalize": False}}
    spec |= {"regularization": {"dropout": 0.2, "weight_decay": 1e-3, "label_smoothing": 0.1}}
    with httpx.Client(base_url=serving.url) as http:
        job = http.post("/v1/jobs", json=spec).raise_for_status().json()["links"]["self"]
        for verdict in Verdict:
            text = (VERDICTS / f"{verdict}.md").read_text("utf-8")
            output = run_page(f"```sh\nJOB={serving.url}{job}\n```\n{text}", tmp_path, serving.url)
            forks = re.findall(r'\{"id":"(job_\w+)"', output)
            assert len(forks) == 2, verdict
            for fork in forks:
                http.post(f"/v1/jobs/{fork}/cancel").raise_for_status()


@pytest.mark.long
def test_commands_of_the_page_on_evaluations_work(serving: Serving, tmp_path: Path) -> None:
    spec = SMALL | {"dataset": {"id": "digits", "train_limit": 100, "test_fraction": 0.2}}
    with Rightfit(serving.url) as client:
        job = client.wait(client.submit(spec)["id"])["id"]
        folds = client.folds.wait(client.folds.submit(SMALL, folds=3)["id"])["id"]
    names = f"JOB={serving.url}/v1/jobs/{job}\nFOLDS={serving.url}/v1/folds/{folds}"
    text = (FOLDER / "evaluation.md").read_text("utf-8")
    output = run_page(f"```sh\n{names}\n```\n{text}", tmp_path, serving.url)
    assert output.count("test images") >= 2
    assert (tmp_path / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out_of_fold.npz").stat().st_size > 0


@pytest.mark.long
def test_commands_of_the_page_on_weights_work(serving: Serving, tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    (tmp_path / "more_data.yaml").write_text("- {op: replace, path: /dataset/train_limit, value: 200}")
    with Rightfit(serving.url) as client:
        job = client.wait(client.submit(SMALL)["id"])["id"]
        uploaded = client.weights.push(tmp_path / "resnet18.pth", "resnet18")["id"]
    text = (FOLDER / "weights.md").read_text("utf-8")
    output = run_page(f"```sh\nJOB={job}\nWEIGHTS={uploaded}\n```\n{text}", tmp_path, serving.url)
    assert "resnet18" in output


@pytest.mark.long
def test_commands_of_the_page_on_operations_work(serving: Serving, tmp_path: Path) -> None:
    text = (FOLDER / "operations.md").read_text("utf-8")
    for folder in ("/mnt/backup", "/srv"):
        text = text.replace(folder, f"{tmp_path}{folder}")
    (tmp_path / "mnt" / "backup").mkdir(parents=True)
    (tmp_path / "srv").mkdir()
    run_page(f"```sh\nexport RIGHTFIT_HOME={serving.home}\n```\n{text}", tmp_path, serving.url)
    assert (tmp_path / "srv" / "rightfit" / "rightfit.db").exists()
