"""Pictures of histories: what is in them, whatever the run was like."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from service.core.diagnosis import Diagnosis, diagnose
from service.core.records.epoch import Epoch
from service.core.records.facts import Facts
from service.core.records.job import Job
from service.rendering.curves_png import CURVES, PURPLE, draw
from tests.golden.runs import FILE
from tests.golden.scoring import history

RUN: dict[str, Any] = next(
    run for run in json.loads(FILE.read_text()) if (run["set_up"], run["seed"]) == ("label_noise_20", 1)
)


class Spec:
    name = "costs $5 & <more>"


class Ended:
    """As much of a job as a picture shows."""

    spec = Spec()
    id = "job_1"
    is_terminal = True
    stop_reason = "max_epochs"
    status = "succeeded"

    def __init__(self, best: Epoch | None) -> None:
        self.best = best


def drawn(epochs: list[Epoch], kind: str) -> bytes:
    best = min((e for e in epochs if e.val_loss is not None), key=lambda e: e.val_loss or 0.0, default=None)
    job: Any = Ended(best)
    return draw(job, epochs, shown(epochs), kind)


def shown(epochs: list[Epoch]) -> Diagnosis:
    return diagnose(epochs, facts=Facts.from_dict(RUN["facts"]), stop_reason="max_epochs")


def test_a_picture_has_the_curves_the_marks_and_the_verdict() -> None:
    svg = drawn(history(RUN), "svg").decode()
    assert all(colour.lower() in svg for _, colour, _ in CURVES.values())
    assert PURPLE.lower() in svg
    for words in ("overfitting since epoch 12; max epochs", "best: epoch 11", "onset: epoch 12", "stop: epoch 60"):
        assert f"<!-- {words} -->" in svg
    assert "<!-- costs $5 &amp; &lt;more&gt; -->" in svg


def test_a_picture_is_opaque_and_of_one_size() -> None:
    with Image.open(io.BytesIO(drawn(history(RUN), "png"))) as picture:
        assert picture.size == (800, 500)
        assert picture.getpixel((0, 0)) == (255, 255, 255, 255)


@pytest.mark.parametrize("loss", [[], [None], [None, None, 2.0], [2.0, 1e30, 1.0], [0.0, 0.0], [3e-9]], ids=str)
def test_any_history_can_be_drawn(loss: list[float | None]) -> None:
    first = history(RUN)[0]
    epochs = [
        replace(first, epoch=number, train_loss=value, train_loss_clean=value, val_loss=value)
        for number, value in enumerate(loss, 1)
    ]
    assert drawn(epochs, "png").startswith(b"\x89PNG")


def test_the_app_does_not_import_matplotlib() -> None:
    code = "import sys, service.app; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_stand_in_has_what_a_job_has() -> None:
    assert {name for name in vars(Ended) if not name.startswith("_")} <= set(dir(Job)) | set(Job.__annotations__)
