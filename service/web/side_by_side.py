"""The first few suggestions of a diagnosis as one ablation: each alone and all together, under the same seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.core.records.job import Job
from service.core.text.sentences import uncapitalized
from service.schemas.ablations import LEAST_SEEDS

MOST, LEAST = 3, 2  # suggestions
FIXED = "/dataset"  # all arms share their images


@dataclass(frozen=True)
class Trial:
    """The body of a request to /v1/ablations, the titles of its factors, and the number of its trainings."""

    body: Mapping[str, Any]
    names: tuple[str, ...]
    jobs: int


def trial(job: Job, advice: Sequence[Mapping[str, Any]]) -> Trial | None:
    """The first suggestions that change different options, None if there are too few."""
    chosen: list[Mapping[str, Any]] = []
    used: set[str] = set()
    for each in advice:
        pointers = {operation["path"] for operation in each["patch"]}
        if pointers and not pointers & used and not any(pointer.startswith(FIXED) for pointer in pointers):
            chosen.append(each)
            used |= pointers
    chosen = chosen[:MOST]
    if len(chosen) < LEAST:
        return None
    body = {"spec": job.spec.to_record(), "factors": [each["id"] for each in chosen], "seeds": LEAST_SEEDS}
    return Trial(body, tuple(uncapitalized(each["title"]) for each in chosen), (len(chosen) + 2) * LEAST_SEEDS)
