"""The API key of the environment: sent as it was meant, and never shown."""

import pytest
from click.testing import CliRunner, Result

from service.cli import main
from tests.service.live import Live


def typed(live: Live, key: str, *words: str) -> Result:
    return CliRunner(env={"RIGHTFIT_URL": live.url, "RIGHTFIT_API_KEY": key}).invoke(main, words)


def test_a_key_from_a_file_is_sent_without_the_end_of_its_line(live: Live) -> None:
    assert typed(live, " rf_secret\r\n", "jobs").exit_code == 0
    assert live.network.seen[-1].headers["authorization"] == "Bearer rf_secret"


@pytest.mark.parametrize("key", ["rf_secret\nsecond", "rf_secretü", "rf_secret\x7f"])
def test_an_unusable_key_is_a_usage_error_and_not_printed(live: Live, key: str) -> None:
    refused = typed(live, key, "jobs")
    assert (refused.exit_code, "printable ASCII" in refused.stderr) == (2, True)
    looked = typed(live, key, "doctor")
    assert "correct RIGHTFIT_API_KEY" in looked.stdout
    assert "rf_secret" not in refused.output + looked.output
