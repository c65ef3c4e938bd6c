"""Sentences in lists: what was said before is not repeated, and titles begin small inside a sentence."""

import re
from collections.abc import Iterator, Sequence

BETWEEN = re.compile(r"(?<=\.) ")  # two sentences


def unrepeated(texts: Sequence[str]) -> Iterator[str]:
    """Each text without its first sentences that the text before begins with too."""
    before: list[str] = []
    for text in texts:
        sentences = BETWEEN.split(text)
        known = 0
        while known < min(len(sentences), len(before)) and sentences[known] == before[known]:
            known += 1
        yield " ".join(sentences[known:])
        before = sentences


def uncapitalized(title: str) -> str:
    """A title inside a sentence: small letters, unless its first word is a name such as `TrivialAugment`."""
    first = title.partition(" ")[0]
    return title if first[1:] != first[1:].lower() else title[:1].lower() + title[1:]
