"""The scripts of the pages fit together."""

import re

import pytest

from service.web.files import OURS

IMPORT = re.compile(r"import \{([^}]*)\} from '\./(\w+\.js)'")
EXPORT = re.compile(r"export (?:async )?(?:function|const|class) (\w+)")
SCRIPTS = sorted(path.name for path in OURS.glob("*.js"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_imported_name_is_exported(script: str) -> None:
    for names, module in IMPORT.findall((OURS / script).read_text("utf-8")):
        exported = set(EXPORT.findall((OURS / module).read_text("utf-8")))
        assert {name.strip() for name in names.split(",") if name.strip()} <= exported, module


def test_scripts_import_from_each_other() -> None:
    assert any(IMPORT.search((OURS / script).read_text("utf-8")) for script in SCRIPTS)
