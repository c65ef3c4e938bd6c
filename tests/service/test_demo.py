import subprocess
import sys

from tests.servers import ROOT


def test_the_demo_trains_verifies_says_what_it_saw_and_leaves_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "service.cli", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    words = " ".join(ran.stdout.split())
    assert words.count("best: epoch") == 2, "two curves, the best epoch marked"
    assert words.count('"agree": true') == 2
    assert "stagnant_generalization: Validation loss has stood at about" in words
    assert "lowered the best validation loss" in words
    assert "nothing is left behind" in words
