"""Shell completion of ids and names, read from the service if it answers quickly."""

from collections.abc import Callable
from typing import Any

import click
import httpx
from click.shell_completion import CompletionItem

from service.client import DEFAULT_URL, ApiError, NotRightfit, Rightfit, UnusableKey
from service.core.text import format_size

TIMEOUT = 1.0  # seconds; a longer pause after the Tab key is worse than no completion
MAX_JOBS = 50

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Choices = list[tuple[str, str]]  # a word and its description


def _completion(list_choices: Callable[[Rightfit, dict[str, Any]], Choices]) -> Complete:
    """A completion from the service; `list_choices` gets the arguments that are already on the command line."""

    def complete(ctx: click.Context, _: click.Parameter, prefix: str) -> list[CompletionItem]:
        url = ctx.find_root().params.get("url") or DEFAULT_URL
        try:
            with Rightfit(url, tries=1, timeout=TIMEOUT) as client:
                choices = list_choices(client, ctx.params)
        except (ApiError, httpx.TransportError, httpx.InvalidURL, NotRightfit, UnusableKey):
            return []
        return [CompletionItem(word, help=meaning) for word, meaning in choices if word.startswith(prefix)]

    return complete


def _jobs(client: Rightfit, _: dict[str, Any]) -> Choices:
    jobs = client.jobs(limit=MAX_JOBS)
    return [(job["id"], " ".join(filter(None, (job["status"], job["spec"]["name"])))) for job in jobs]


def _advice(client: Rightfit, arguments: dict[str, Any]) -> Choices:
    diagnosis = client.diagnose(arguments["job_id"])
    return [(advice["id"], advice["title"]) for advice in diagnosis["advice"] if advice["patch"]]


def _artifacts(client: Rightfit, arguments: dict[str, Any]) -> Choices:
    return [(entry["name"], format_size(entry["bytes"])) for entry in client.artifacts(arguments["job_id"])]


job_ids, advice_ids, artifact_names = _completion(_jobs), _completion(_advice), _completion(_artifacts)
