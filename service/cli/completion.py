"""Words that the shell can complete: ids and names that the service knows, if it answers quickly."""

from collections.abc import Callable
from typing import Any

import click
import httpx
from click.shell_completion import CompletionItem

from service.client import DEFAULT_URL, ApiError, NotRightfit, Rightfit, UnusableKey

SECONDS = 1.0  # nobody waits longer for a word
MOST = 50

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Words = list[tuple[str, str]]  # each with what it means


def _completes(find: Callable[[Rightfit, dict[str, Any]], Words]) -> Complete:
    """A completion that asks the service, given what stands on the line already; without an answer there is none."""

    def complete(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
        url = ctx.find_root().params.get("url") or DEFAULT_URL
        try:
            with Rightfit(url, tries=1, timeout=SECONDS) as client:
                found = find(client, ctx.params)
        except (ApiError, httpx.TransportError, httpx.InvalidURL, NotRightfit, UnusableKey):
            return []
        return [CompletionItem(word, help=meaning) for word, meaning in found if word.startswith(begun)]

    return complete


def _jobs(client: Rightfit, _: dict[str, Any]) -> Words:
    return [
        (job["id"], " ".join(filter(None, (job["status"], job["spec"]["name"])))) for job in client.jobs(limit=MOST)
    ]


def _advice(client: Rightfit, line: dict[str, Any]) -> Words:
    return [(advice["id"], advice["title"]) for advice in client.diagnose(line["job_id"])["advice"] if advice["patch"]]


def _artifacts(client: Rightfit, line: dict[str, Any]) -> Words:
    return [(entry["name"], f"{entry['bytes']:,} bytes") for entry in client.artifacts(line["job_id"])]


job_ids, advice_ids, artifact_names = _completes(_jobs), _completes(_advice), _completes(_artifacts)
