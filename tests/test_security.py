"""The page on security: its paths and tests exist. Also the claims that no other test covers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads

from service.core.broker.hints import make_celery
from tests.servers import ROOT

PAGE = ROOT / "service" / "docs" / "security.md"
ROW = re.compile(r"^\| (?!threat|who|---)(.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
NAMED = re.compile(r"`([^`]+)`")
READERS = {"load", "loads", "Unpickler"}  # of pickle, and torch.load


def rows() -> list[tuple[str, ...]]:
    return [row.groups() for row in ROW.finditer(PAGE.read_text("utf-8"))]


def named_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_threat_names_existing_code_and_tests() -> None:
    assert len(rows()) > 30
    for threat, _, where, shown in rows():
        places, proofs = NAMED.findall(where), NAMED.findall(shown)
        assert places, threat
        assert proofs, threat
        for place in places:
            assert (ROOT / place).is_file(), (threat, place)
        for proof in proofs:
            path, _, name = proof.partition("::")
            assert name.startswith("test_"), proof
            assert name in named_in(ROOT / path), (threat, proof)


def calls(tree: ast.Module) -> Iterator[tuple[str, str, ast.Call]]:
    """Every `module.function(…)`."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            yield node.func.value.id, node.func.attr, node


def test_no_pickle_that_can_run_code_is_read() -> None:
    seen = 0
    for path in [*(ROOT / "service").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        for module, function, call in calls(ast.parse(path.read_text())):
            given = {word.arg: word.value for word in call.keywords}
            if module == "torch" and function == "load":
                safe = given.get("weights_only")
                assert isinstance(safe, ast.Constant), path
                assert safe.value is True, path
                seen += 1
            assert not (module == "pickle" and function in READERS), path
            allowed = given.get("allow_pickle")
            assert not (isinstance(allowed, ast.Constant) and allowed.value), path
    assert seen >= 1


def test_message_that_is_not_json_is_refused() -> None:
    accepted = make_celery("redis://127.0.0.1:1/0").conf.accept_content
    assert accepted == ["json"]
    with pytest.raises(ContentDisallowed):
        loads(b"cos\nsystem\n", "application/x-python-serialize", "binary", accept={"application/json"})
