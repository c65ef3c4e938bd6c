"""The README's curl walk, run as it stands."""

import re
import subprocess
from pathlib import Path

import torch

from tests.conftest import Serving
from tests.pictures import folders, zipped
from tests.servers import ROOT


def test_every_command_of_the_walk_works_in_its_order(serving: Serving, tmp_path: Path) -> None:
    walk = (ROOT / "README.md").read_text().partition("## Use it")[2].partition("## Settings")[0]
    script = "\n".join(re.findall(r"```sh\n(.*?)```", walk, re.DOTALL)).replace("http://127.0.0.1:8000", serving.url)
    assert script.count("curl") == 24
    (tmp_path / "pets.zip").write_bytes(zipped(folders()))
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "best: epoch" in ran.stdout
    assert '"pointer": "/optimizer/lr"' in ran.stdout
    assert '"name":"3 residual"' in ran.stdout
    assert '"probabilities"' in ran.stdout
    assert '"factors":["dropout","weight_decay","wide"]' in ran.stdout
    assert "event: end" in ran.stdout
    assert '"verdict":' in ran.stdout
    assert '"parent":"' in ran.stdout
    assert '"differences":' in ran.stdout
    assert '"stop_epoch":' in ran.stdout
    assert ran.stdout.count('"name":"pets"') == 3
    assert torch.load(tmp_path / "best_model.pth", weights_only=True)
