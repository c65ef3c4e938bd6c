"""Requests generated from the API document, valid and invalid, and every answer checked against it.

`python -m tests.document --examples 60` starts a stack of its own and runs schemathesis over the whole document with
all of its checks. Exits 1 where an answer is not as documented, or is a 5xx.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import replace

from service.core.settings import Settings
from service.core.sql.api_keys import ApiKeys, Scope
from service.core.sql.engine import Database
from service.stack.standalone import Stack
from tests.servers import ROOT

ALL_PHASES = "examples,coverage,fuzzing"
LONGEST_WAIT = 70  # seconds; for `?wait=60`


def check(
    url: str, examples: int, seed: int = 1, key: str | None = None, phases: str = ALL_PHASES
) -> tuple[int, int, str]:
    """Run schemathesis with `examples` per operation; returns its exit status, the requests made and its output."""
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(ROOT / "tests/schemathesis.toml"),
        "run",
        f"{url}/openapi.json",
        "--checks",
        "all",
        "--phases",
        phases,
        "--max-examples",
        str(examples),
        "--seed",
        str(seed),
        "--no-color",
        "--request-timeout",
        str(LONGEST_WAIT),
    ]
    if key:
        command += ["--header", f"Authorization: Bearer {key}"]
    with tempfile.TemporaryDirectory(prefix="rightfit-document-") as folder:  # where it leaves its files
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    made = re.search(r"(\d+) generated", done.stdout)
    return done.returncode, int(made[1]) if made else 0, done.stdout + done.stderr


def new_key(settings: Settings) -> str:
    database = Database(settings.database_url)
    try:
        return ApiKeys(database).create("somebody", [Scope.ADMIN])
    finally:
        database.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--auth", choices=["none", "keys"], default="none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rightfit-document-") as folder:
        settings = replace(Settings.from_env({"RIGHTFIT_HOME": folder}), port=0, auth=given.auth)
        with Stack(settings) as stack:
            key = new_key(stack.settings) if given.auth == "keys" else None
            code, made, text = check(stack.url, given.examples, given.seed, key)
    print(text)
    print(f"{made} requests")
    return code


if __name__ == "__main__":
    sys.exit(main())
