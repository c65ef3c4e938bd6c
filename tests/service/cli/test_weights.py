"""`weights push`, `weights ls` and `weights rm`."""

from pathlib import Path

from tests.service.cli.commands import Command, document
from tests.service.small_weights import ARCH, small_state, torch_file


def test_weights_are_pushed_listed_and_deleted(rightfit: Command, tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(torch_file(small_state()))
    pushed = document(rightfit("weights", "push", str(tmp_path / "model.pth"), "--arch", ARCH, "--json"))
    again = rightfit("weights", "push", str(tmp_path / "model.pth"), "--arch", ARCH, "--name", "mine").stdout
    assert f"--set model.weights={pushed['id']}" in again
    assert document(rightfit("weights", "ls", "--json")) == {"data": [pushed]}
    assert pushed["id"] in rightfit("weights", "ls").stdout
    assert document(rightfit("weights", "rm", pushed["id"], "--yes", "--json")) == {"deleted": [pushed["id"]]}
    assert document(rightfit("weights", "ls", "--json")) == {"data": []}


def test_file_that_cannot_be_used_is_refused(rightfit: Command, tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"no weights")
    refused = rightfit("weights", "push", str(tmp_path / "model.pth"), "--arch", ARCH)
    assert (refused.exit_code, "the file cannot be used" in refused.stderr) == (3, True)
